"""The look of the HTML page, beside what all pages share."""

from tfmaskrcnn.support.pages import LOOK

STYLE = (
    LOOK
    + """
.numbers th { color: var(--note); font-weight: 500; white-space: nowrap }
.verdict { font-weight: 600; padding: 0.6em 0.9em; border-radius: 6px; color: white }
.verdict.wrong { background: var(--wrong) } .verdict.good { background: var(--good) }
details { margin: 0.5em 0; border-left: 4px solid var(--note); padding: 0.2em 0 0.2em 0.9em }
details.wrong { border-color: var(--wrong) } details.odd { border-color: var(--odd) }
details.wrong > summary b { color: var(--wrong) } details.odd > summary b { color: var(--odd) }
details.note > summary b { color: var(--note) }
details.all { border: 0; padding: 0; color: var(--note); font-size: 0.88em }
details.all ol { max-height: 24em; overflow: auto; overflow-wrap: anywhere }
details p { margin: 0.2em 0; color: var(--note) }
.figures { display: flex; flex-wrap: wrap; gap: 0.8em; margin: 0.6em 0 }
figure { width: 240px } figure img { display: block; max-width: 240px }
pre { background: #f2f4f6; padding: 0.7em 0.9em; border-radius: 6px; white-space: pre-wrap;
  overflow-wrap: anywhere } td:first-child code { white-space: nowrap }
svg { width: 100%; max-width: 700px }
.bar { fill: #8db4de } .mark { stroke: #1d232a }
text.mark { stroke: none; fill: #1d232a } .axis { stroke: #7d8790 }
svg text { fill: #4a545e }
.bars { width: 100%; max-width: 700px } .wide { width: 60% }
"""
)
