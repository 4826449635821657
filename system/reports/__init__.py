"""Report models: the text of a report in, a probability of mass per breast out (Tang et al. 2021, section 3.2).

config.py         the settings
text.py           cleaning, sections, language, left and right exchanged
annotated.py      the reports to read, and what is known of their breasts
folds.py          folds by patient
source.py         find the encoder
encoder.py        bring encoder and tokenizer into one folder
head.py           the layer between encoder and logits, kept or taken out
pretraining.py    masked words, for an encoder built from the reports
tokens.py         reports -> token ids
finetune.py       fine-tune one model, predict with it
folder.py         the folder of the finished models
report_models.py  all models together
calibration.py    margins -> probabilities
measures.py       how good the models are
rules.py          the baseline by keywords; its words are in system/report_words.py, the sides in report_sides.py
rule_rates.py     the baseline's answers as probabilities

Importing the package loads no torch.
"""

from system.reports.config import ReportConfig, SmallEncoderConfig

__all__ = ["ReportConfig", "SmallEncoderConfig"]
