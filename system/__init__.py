"""What is true of mammograms, reports, pools and losses, whatever runs it. Nothing here imports Ray.

Axis letters in docstrings: B batch, C channels, H W pixels of the canonical view, h w pixels at stride 4, N regions.
Layers, upper may import lower: presets > config > rounds > figures, training, mining, metrics, reports, archive >
methods > nets, losses, refine, imaging, phantom > runs > records, settings.
"""
