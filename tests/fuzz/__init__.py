"""Specs on purpose wrong, odd or extreme, against the real API server and the real operator (after Acto, SOSP'23)."""
