"""`sensemble bundle ...`: sign a bundle, or check one before it runs."""
