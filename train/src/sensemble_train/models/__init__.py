"""Models: an encoder per modality, a head on the mean of their embeddings, and a saved model's files.

Only `kinds` depends on the kind of a modality.

Doors: `model`, `imported` (one that was trained elsewhere), `model_config`, `augment_config`,
`infer_spec`, `tokenizer`; `encoders`, `places`, `transformer` and `frontend` for export; `kinds.registry`;
`pretrained.encoder` and `pretrained.sources`.
"""
