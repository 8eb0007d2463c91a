"""The wizard as questions and answers, a line each, for screen readers, braille lines and terminals that can do little.

The same steps on the same plain objects as the screens; nothing here draws, moves a cursor or knows Textual.
"""
