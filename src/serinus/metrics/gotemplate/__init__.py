"""Go's `text/template`, as far as the queries of MetricTemplates need it, and safe to run.

There is no data but the values of a few names, no method and no loop but over a map's entries;
steps and lengths are bounded. What is not known is refused, with its line and column.
"""

from serinus.metrics.gotemplate.error import TemplateError
from serinus.metrics.gotemplate.nodes import Value
from serinus.metrics.gotemplate.template import render

__all__ = ["TemplateError", "Value", "render"]
