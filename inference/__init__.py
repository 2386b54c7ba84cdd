"""The inference worker: a CT series and a point in, a prediction with its explanation out.

It knows neither the site nor a database: it reads images by DICOMweb, and answers the
Celery task `inference.predict` (see `tasks`) with plain JSON.
"""
