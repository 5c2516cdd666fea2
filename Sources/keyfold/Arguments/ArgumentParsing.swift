import ArgumentParser
import Console

extension TimeSpan: ExpressibleByArgument {}

extension PointInTime: ExpressibleByArgument {}
