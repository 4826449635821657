"""What the hospital gives: Delta tables, the pixel store, splits and data-set layouts. May import imaging, phantom, records."""
