"""Live traffic for the demo and the tests: real rows asked at a steady rate, their labels sent back a little later.

`python -m traffic` runs in a pod, where the clients of a service are; `remote` starts it there, steers it and reads it.
"""
