"""From the options of ``attach`` to the outputs of an explained model: plan, run, replay."""
