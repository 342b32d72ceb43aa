import Foundation

/// A moment in universal time, as files name it.
public struct UniversalTime {
  private let date: String
  private let clock: String

  public init(_ moment: Date) {
    var seconds = time_t(moment.timeIntervalSince1970.rounded(.down))
    var parts = tm()
    gmtime_r(&seconds, &parts)
    func two(_ number: Int32) -> String { number < 10 ? "0\(number)" : "\(number)" }
    date = "\(1900 + parts.tm_year)-\(two(parts.tm_mon + 1))-\(two(parts.tm_mday))"
    clock = "\(two(parts.tm_hour)):\(two(parts.tm_min)):\(two(parts.tm_sec))"
  }

  /// `2026-11-30T08:02:55Z`, as ISO 8601 has it.
  public var iso8601: String { "\(date)T\(clock)Z" }

  /// `2026-11-22@18:31:55`, as Keras writes it.
  var keras: String { "\(date)@\(clock)" }
}
