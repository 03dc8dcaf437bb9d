"""One quantized encoder per modality, lowered and checked against its float original."""
