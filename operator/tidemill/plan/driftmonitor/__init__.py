"""Plan a DriftMonitor: its windows, its reference, its verdicts, and when it retrains."""
