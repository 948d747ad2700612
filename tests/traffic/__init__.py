"""Live traffic for the demo and the tests: requests with real rows at a steady rate, and their labels a little later.

`python -m traffic` runs in a pod, where the clients of a service are; `remote` starts it there, controls it and reads its counters.
"""
