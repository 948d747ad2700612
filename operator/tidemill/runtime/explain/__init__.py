"""Why a model answers so: Shapley values by `shap`, computed in a process of its own.

shap brings hundreds of megabytes along and holds the interpreter while it works. So a serving process starts another one when
it is first asked, sends it rows, and ends it when no request has come for a while.

    serve/explainer ── rows ──▶ __main__ ── methods ── shap
                    ◀─ values ──
"""
