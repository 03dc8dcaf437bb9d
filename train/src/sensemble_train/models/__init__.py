"""Models: an encoder per modality, a head on the mean of their embeddings, and the files of a saved model.

All that depends on the kind of a modality is in `kinds`. The other modules are the parts that encoders share.

Doors: `model`, `imported` (one that was trained elsewhere), `model_config`, `augment_config`, `presets`,
`infer_spec`, `tokenizer`; `encoders`, `transformer` and `frontend` for export; `kinds.registry`;
`pretrained.encoder` and `pretrained.sources`.
"""
