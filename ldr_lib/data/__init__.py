"""Room of notebook 01: from image files, or simulation, to training arrays, views and rendered
pairs.

`ldr_lib.open_dataset`, `ldr_lib.prepare`, `ldr_lib.read_image` and `ldr_lib.download` are its
doors.
"""
