"""The look of the HTML page."""

STYLE = """
:root { color-scheme: light; --wrong: #c62828; --odd: #b26a00; --note: #5f6b76; --good: #2e7d32 }
body { font: 15px/1.45 system-ui, sans-serif; color: #1d232a; max-width: 1060px;
  margin: 2em auto; padding: 0 1em }
h1 { font-size: 1.3em; overflow-wrap: anywhere } h2 { margin-top: 1.8em; font-size: 1.15em }
h3 { font-size: 0.95em; font-weight: 600; margin: 1.4em 0 0.3em }
table { border-collapse: collapse } td, th { padding: 0.2em 1em 0.2em 0; text-align: left;
  vertical-align: top; overflow-wrap: anywhere }
.numbers th { color: var(--note); font-weight: 500; white-space: nowrap }
.number { text-align: right; white-space: nowrap }
.verdict { font-weight: 600; padding: 0.6em 0.9em; border-radius: 6px; color: white }
.verdict.wrong { background: var(--wrong) } .verdict.good { background: var(--good) }
details { margin: 0.5em 0; border-left: 4px solid var(--note); padding: 0.2em 0 0.2em 0.9em }
details.wrong { border-color: var(--wrong) } details.odd { border-color: var(--odd) }
details.wrong > summary b { color: var(--wrong) } details.odd > summary b { color: var(--odd) }
details.note > summary b { color: var(--note) }
details.all { border: 0; padding: 0; color: var(--note); font-size: 0.88em }
details.all ol { max-height: 24em; overflow: auto; overflow-wrap: anywhere }
summary { cursor: pointer } summary span { color: var(--note) }
details p { margin: 0.2em 0; color: var(--note) }
.figures { display: flex; flex-wrap: wrap; gap: 0.8em; margin: 0.6em 0 }
figure { margin: 0; width: 240px } figure img { display: block; max-width: 240px }
figcaption { font-size: 0.78em; line-height: 1.3; color: var(--note); overflow-wrap: anywhere;
  margin-top: 0.3em }
pre { background: #f2f4f6; padding: 0.7em 0.9em; border-radius: 6px; white-space: pre-wrap;
  overflow-wrap: anywhere } td:first-child code { white-space: nowrap }
svg { width: 100%; max-width: 700px; font: 11px system-ui, sans-serif }
.bar { fill: #8db4de } .mark { stroke: #1d232a }
text.mark { stroke: none; fill: #1d232a } .axis { stroke: #7d8790 }
svg text { fill: #4a545e }
.bars { width: 100%; max-width: 700px } .wide { width: 60% }
.share { background: #8db4de; height: 0.8em; margin-top: 0.35em; min-width: 1px }
"""
