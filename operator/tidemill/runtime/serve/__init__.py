"""The serving process: the Open Inference Protocol outside, a BentoML service behind it, a rollout's traffic split within.

`server` runs it and `stopping` ends it. `gate` is the ASGI application; `predicting`, `labelling` and `reports` stand behind
its routes, and `serving` is what they share. `codec`, `rows` and `labels` read what clients send, `trial` keeps the score of
a rollout, `log` writes what was asked and answered.
"""
