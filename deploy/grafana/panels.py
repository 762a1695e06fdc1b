"""The panels of the dashboard: one number, or lines."""

from __future__ import annotations

from collections.abc import Sequence
from string import ascii_uppercase
from typing import NamedTuple

from grafana_foundation_sdk.builders import common, dashboard, prometheus, stat, timeseries
from grafana_foundation_sdk.models.common import (
    BigValueColorMode,
    BigValueGraphMode,
    LegendDisplayMode,
    LegendPlacement,
    TooltipDisplayMode,
)
from grafana_foundation_sdk.models.dashboard import (
    DataSourceRef,
    SpecialValueMap,
    Threshold,
    ThresholdsMode,
    ValueMap,
    ValueMapping,
    ValueMappingResult,
)

SOURCE = DataSourceRef(type_val="prometheus", uid="${datasource}")


class Series(NamedTuple):
    """A query, and how its series are named."""

    expression: str
    legend: str


class Graph(NamedTuple):
    """A panel of lines."""

    title: str
    unit: str
    lines: Sequence[Series]
    description: str = ""


class BigNumber(NamedTuple):
    """A panel of one number, with its color from each bound upwards."""

    title: str
    unit: str
    expression: str
    colors: Sequence[tuple[float | None, str]]
    words: Sequence[tuple[str, str, str]] = ()
    """Value → what is shown, and its color."""
    description: str = ""


def _query(line: Series, name: str) -> prometheus.Dataquery:
    made = prometheus.Dataquery().expr(line.expression).legend_format(line.legend)
    return made.datasource(SOURCE).ref_id(name)


def number_panel(number: BigNumber) -> stat.Panel:
    """The panel of a number, as Grafana builds it."""
    words = {
        value: ValueMappingResult(text=text, color=color, index=index)
        for index, (value, text, color) in enumerate(number.words)
    }
    nothing = SpecialValueMap()
    nothing.options.match = "null+nan"  # type: ignore[assignment]
    nothing.options.result = ValueMappingResult(text="none")
    mappings: list[ValueMapping] = [*([ValueMap(options=words)] if words else []), nothing]
    return (
        stat.Panel()
        .title(number.title)
        .description(number.description)
        .datasource(SOURCE)
        .unit(number.unit)
        .mappings(mappings)
        .thresholds(
            dashboard.ThresholdsConfig()
            .mode(ThresholdsMode.ABSOLUTE)
            .steps([Threshold(value=bound, color=color) for bound, color in number.colors])
        )
        .color_mode(BigValueColorMode.BACKGROUND)
        .graph_mode(BigValueGraphMode.NONE)
        .with_target(_query(Series(number.expression, ""), "A"))
    )


def graph_panel(graph: Graph) -> timeseries.Panel:
    """The panel of lines, as Grafana builds it."""
    panel = (
        timeseries.Panel()
        .title(graph.title)
        .description(graph.description)
        .datasource(SOURCE)
        .unit(graph.unit)
        .min(0)
        .legend(
            common.VizLegendOptions()
            .display_mode(LegendDisplayMode.LIST)
            .placement(LegendPlacement.BOTTOM)
            .show_legend(True)
        )
        .tooltip(common.VizTooltipOptions().mode(TooltipDisplayMode.MULTI))
    )
    for name, line in zip(ascii_uppercase, graph.lines, strict=False):
        panel = panel.with_target(_query(line, name))
    return panel
