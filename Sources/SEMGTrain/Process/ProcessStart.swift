/// When the program began, which `--max-minutes` counts from.
enum ProcessStart {
  static let instant = ContinuousClock.now

  /// Called first of all: the instant is that of the first look at it.
  static func begin() { _ = instant }
}
