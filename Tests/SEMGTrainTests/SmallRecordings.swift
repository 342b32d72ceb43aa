import Foundation
import TestSupport

/// Recordings that can be trained on in a second: two gestures that differ in which channels are
/// loud, two trials, three sessions, two subjects where asked for; two windows each.
struct SmallRecordings {
  static let name = "recordings"

  /// Paths relative to the data directory.
  let paths: [String]

  /// Writes them below `directory`/recordings.
  ///
  /// - Parameter firstSeed: other seeds make other recordings at the same paths.
  init(
    in directory: TemporaryDirectory, subjects: Int = 1, samples: Int = 300, firstSeed: Int = 0
  ) throws {
    var paths: [String] = []
    for session in 1...3 {
      for subject in 1...subjects {
        let folder = "Session\(session)/session\(session)_subject_\(subject)"
        try FileManager.default.createDirectory(
          atPath: directory.file("\(Self.name)/\(folder)"), withIntermediateDirectories: true)
        for gesture in 0..<2 {
          for trial in 1...2 {
            let path = "\(folder)/gesture0\(gesture)_trial0\(trial).csv"
            let seed = UInt64(firstSeed + ((session * 10 + subject) * 10 + gesture) * 10 + trial)
            try Self.text(gesture: gesture, seed: seed, samples: samples).write(
              toFile: directory.file("\(Self.name)/\(path)"), atomically: false, encoding: .utf8)
            paths.append(path)
          }
        }
      }
    }
    self.paths = paths
  }

  /// Noise, louder on four channels that say which gesture it is.
  private static func text(gesture: Int, seed: UInt64, samples: Int) -> String {
    var state = seed &* 0x9E37_79B9_7F4A_7C15 | 1
    var rows = ["ch1,ch2,ch3,ch4,ch5,ch6,ch7,ch8"]
    for _ in 0..<samples {
      let cells = (0..<8).map { channel -> String in
        state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
        let noise = Double(state >> 33) / Double(1 << 31) - 0.5
        return String(format: "%.6f", noise * (channel / 4 == gesture ? 0.2 : 0.05))
      }
      rows.append(cells.joined(separator: ","))
    }
    return rows.joined(separator: "\r\n") + "\r\n"
  }
}

extension SemgTrain {
  /// Options of a training that takes a second.
  static let brief = [
    "--data", SmallRecordings.name, "--models", "semg-net", "--epochs", "1", "--batch-size", "16",
    "--threads", "1",
  ]

  /// The JSON objects on standard output, one per line.
  static func objects(_ output: String) throws -> [[String: Any]] {
    try output.split(separator: "\n").map { line in
      let value = try JSONSerialization.jsonObject(with: Data(line.utf8))
      return value as? [String: Any] ?? [:]
    }
  }

  /// A JSON value as text that can be compared; nil where there is none.
  static func text(_ value: Any?) -> String? {
    guard let value,
      let data = try? JSONSerialization.data(
        withJSONObject: value, options: [.sortedKeys, .fragmentsAllowed])
    else { return nil }
    return String(decoding: data, as: UTF8.self)
  }
}
