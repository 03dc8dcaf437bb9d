"""The bundle, the torch-free executor, the session and the audit."""
