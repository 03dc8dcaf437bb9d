"""Session: sensors in, predictions and events out, while sensors come and go.

Holds the threads around an `Engine`, which decides: of sensors, encoders, subscribers and the adaptation; and
the same engine in virtual time.

Doors: `hotplug`, `sensor_host`, `session`, `virtual`.
"""
