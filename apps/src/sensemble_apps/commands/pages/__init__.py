"""`sensemble serve` and `sensemble studio`: pages that a browser opens."""
