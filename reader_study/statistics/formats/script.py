"""An R script that repeats the main analysis with the reference programs of the field."""

import json
from typing import NamedTuple, TextIO

COVARIANCES = {"jackknife": "jackknife", "delong": "DeLong", "unbiased": "unbiased"}
METRICS = {
    "auc": "empirical_auc(truth, rating)",
    "sensitivity": "binary_sens(truth, decision)",
    "specificity": "binary_spec(truth, decision)",
}


class Script(NamedTuple):
    """What the script is to repeat."""

    data: str  # name of the file of readings, beside the script
    title: str
    covariance: str = "jackknife"
    endpoint: str = "auc"
    threshold: float | None = None
    workbook: str | None = None  # name of the Excel file for RJafroc, if there is one


def write_script(script: Script, out: TextIO) -> None:
    """Write the script; what it needs are R and those of the packages that are installed."""
    threshold = "1" if script.threshold is None else f"{script.threshold:.17g}"
    title = " ".join(script.title.split())
    out.write(f"""# {title}
# Repeats the comparison of modalities in R. Run it where {script.data} is: Rscript FILE.R
# Each part needs one package and is left out where it is not installed:
#   install.packages(c("MRMCaov", "iMRMC", "RJafroc"))

data <- read.csv({_quoted(script.data)}, colClasses = "character", encoding = "UTF-8",
                 na.strings = c("", "NA"))
data <- data[!is.na(data$rating), ]
data$truth <- as.integer(data$truth)
data$rating <- as.numeric(data$rating)
data$decision <- as.integer(data$rating >= {threshold})
data$reader <- factor(data$reader)
data$modality <- factor(data$modality)
cat(sprintf("%d readings of %d readers, %d cases, %d modalities\\n", nrow(data),
            nlevels(data$reader), length(unique(data$case)), nlevels(data$modality)))

installed <- function(name) {{
  found <- requireNamespace(name, quietly = TRUE)
  if (!found) cat(name, "is not installed: left out\\n")
  found
}}

# Obuchowski and Rockette, readers and cases random (RRRC), then one of the two fixed.
if (installed("MRMCaov")) {{
  library(MRMCaov)
  fit <- mrmc({METRICS[script.endpoint]}, modality, reader, case, data = data,
              cov = {COVARIANCES[script.covariance]})
  print(summary(fit))
}}
""")
    _write_imrmc(script, out)
    if script.workbook and script.endpoint == "auc":
        out.write(f"""
# Obuchowski and Rockette, and Dorfman, Berbaum and Metz, after RJafroc.
if (installed("RJafroc")) {{
  dataset <- RJafroc::DfReadDataFile({_quoted(script.workbook)}, newExcelFileFormat = TRUE)
  print(RJafroc::St(dataset, FOM = "Wilcoxon", method = "OR"))
  print(RJafroc::St(dataset, FOM = "Wilcoxon", method = "DBM"))
}}
""")


def _write_imrmc(script: Script, out: TextIO) -> None:
    out.write("""
# U-statistics of Gallas, for any design.
if (installed("iMRMC")) {
""")
    if script.endpoint != "auc":
        # With the ratings of the cases that do not count in the middle the AUC is the endpoint.
        counted = 1 if script.endpoint == "sensitivity" else 0
        out.write(f"  score <- ifelse(data$truth == {counted}, data$decision, 0.5)\n")
    else:
        out.write("  score <- data$rating\n")
    out.write("""  cases <- data[!duplicated(data$case), ]
  frame <- rbind(
    data.frame(readerID = "truth", caseID = cases$case, modalityID = "truth",
               score = cases$truth),
    data.frame(readerID = as.character(data$reader), caseID = data$case,
               modalityID = as.character(data$modality), score = score))
  frame$readerID <- factor(frame$readerID)
  frame$caseID <- factor(frame$caseID)
  frame$modalityID <- factor(frame$modalityID)
  result <- iMRMC::doIMRMC(frame)
  print(result$Ustat)
}
""")


def _quoted(text: str) -> str:
    """Write a text as R reads it: as JSON, whose escapes R shares."""
    return json.dumps(text, ensure_ascii=False)
