"""riskmap: one map of city safety risks (城市公共安全风险一张图), served from PostGIS."""

__version__ = "0.1.0"
