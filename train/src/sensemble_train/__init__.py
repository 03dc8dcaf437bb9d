"""Training that survives missing sensors: contrastive pretraining, MASD, WiSE-FT."""
