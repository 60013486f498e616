"""The guide, played from beginning to end: ``serinus demo``.

The demo is a person at a keyboard: it uses the real kubectl, and besides that only reads what the
API server shows to anybody. Nothing here looks into the lab.
"""
