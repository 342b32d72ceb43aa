import Foundation
import SignalProcessing
import Testing

/// One case of `Fixtures/scipy_values.json`; `generate_scipy_values.py` beside it says what each is.
struct ScipyCase: Decodable, Sendable, CustomTestStringConvertible {
  let rate: Double
  let notch: Double?
  let samples: Int
  let positions: [Int]
  let deviation: [Double]
  let zeroPhase, published, streamed, streamedFromSettled: [Double]
  let inputMean, inputDeviation: [Double]

  var testDescription: String { "\(rate) Hz, notch \(notch.map { "\($0)" } ?? "off"), \(samples)" }

  static let channels = 3
  static let all: [ScipyCase] = {
    struct File: Decodable { let cases: [ScipyCase] }
    let url = URL(filePath: #filePath).deletingLastPathComponent()
      .appending(path: "Fixtures/scipy_values.json")
    let decoder = JSONDecoder()
    decoder.keyDecodingStrategy = .convertFromSnakeCase
    // An unreadable fixture leaves no case, which `everyFixtureCaseIsRead` reports.
    return (try? decoder.decode(File.self, from: Data(contentsOf: url)).cases) ?? []
  }()

  func filter() throws -> RecordingFilter {
    try RecordingFilter(FilterSettings(notchHertz: notch), sampleRate: rate)
  }

  /// The generator's signal, bit for bit: noise with an offset a channel, `[samples, channels]`.
  var signal: [Double] { Self.signal(samples: samples, channels: Self.channels) }

  static func signal(samples: Int, channels: Int) -> [Double] {
    var state: UInt32 = 12345
    return (0..<samples * channels).map { index in
      state = state &* 1_664_525 &+ 1_013_904_223
      return (Double(state) / 4_294_967_296 - 0.5) * 0.25 + 0.0625 * Double(index % channels)
    }
  }

  /// The greatest error at the recorded positions, in deviations of the channel.
  func error(of values: [Double], from expected: [Double]) -> Double {
    var worst = 0.0
    for (row, position) in positions.enumerated() {
      for channel in 0..<Self.channels {
        let difference =
          values[position * Self.channels + channel] - expected[row * Self.channels + channel]
        worst = max(worst, abs(difference) / deviation[channel])
      }
    }
    return worst
  }
}
