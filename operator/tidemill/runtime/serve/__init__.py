"""The serving process: the Open Inference Protocol outside, a BentoML service behind it, a rollout's traffic split within.

`server` runs it and `shutdown` ends it; `pod` and `local` start it, `prefork` several of it. `app` is the ASGI application, `handlers`
answer its routes, and `handlers.context` is what they share. `http` holds connections, bodies and responses; `rollout` splits
traffic and keeps the score; `telemetry` counts; `version` loads and holds the model.
"""
