"""The main job on real parts, as a story: `solesource demo`. Composes everything; nothing else imports it."""
