"""Turn run folders into rows: paths, matrices and audits, and the costs of their bundles.

Nothing here draws a page or runs a session.

Doors: `audit_table`, `audits`, `comparison_table`, `condition_table`, `costs`, `fleet`, `fleet_simulation`,
`fleet_table`, `gate_verdict`, `heartbeat_files`, `heartbeats`, `matrices`, `run_folder`, `sparing_table`,
`stream_table` and `unknown_table`.
"""
