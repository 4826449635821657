"""Read mammography reports: text in, probability of a mass per breast out (Mammo-RoBERTa, seed 000, section 3.1).

text (sections, sides) -> folds (who teaches whom) -> encoder, finetune (six models) -> calibration, measures; labelled says which reports
there are and what is known about them. May import methods and everything below, and the archive. Importing the package loads no torch.
"""

from system.reports.config import ReportConfig, SmallEncoderConfig

__all__ = ["ReportConfig", "SmallEncoderConfig"]
