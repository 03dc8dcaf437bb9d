"""The sensemble command: demo, data, train, export, run, audit, report, doctor."""
