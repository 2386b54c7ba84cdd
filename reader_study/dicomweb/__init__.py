"""Images: archives that speak DICOMweb, how series come in, what of a header a reader sees."""
