"""The studio: a page that trains a model from the user's sensors.

A project is a folder: the classes, the recording, and a run for each training. Sensors are read all the time,
for previews, takes and the live page. Training and export are commands in their own processes: the page
never waits for them, and they go on where they stopped.

Doors: `project`, a folder; `studio`, which works on it; `api`, its page.
"""
