import Foundation
import Recordings
import SignalPreparation
import SignalProcessing
import Training

/// What one recording holds, and what its path says.
struct RecordingInspection: Inspection {
  struct Channel: Encodable {
    let column: Int
    let name: String?
    let mean: Double
    let deviation: Double
    let minimum: Double
    let maximum: Double
  }

  let kind = "recording"
  let path: String
  let bytes: Int
  let samples: Int
  let seconds: Double
  let sampleRate: Double
  let columns: Int
  let windows: Int
  let session: Int?
  let gesture: Int?
  let subject: Int?
  let channels: [Channel]
  /// What a training would refuse it for, or warn of.
  let warnings: [String]

  enum CodingKeys: String, CodingKey {
    case kind, path, bytes, samples, seconds, columns, windows, session, gesture, subject, channels
    case warnings
    case sampleRate = "sample_rate"
  }

  /// - Throws: what is wrong with the recording, or with the rate.
  init(_ path: String, options: ColumnOptions) throws {
    let selection = options.channels ?? .firstEight
    let recording = try RecordingReader(options: ReadOptions(channels: selection)).read(path)
    let geometry = try WindowGeometry(sampleRate: options.sampleRate ?? 512)
    let layout = RecordingLayout(path: path)
    self.path = path
    bytes = recording.byteCount
    samples = recording.sampleCount
    sampleRate = options.sampleRate ?? 512
    seconds = Double(recording.sampleCount) / sampleRate
    columns = recording.columnCount
    windows = geometry.count(in: recording.sampleCount)
    (session, gesture, subject) = (layout.session, layout.gesture, layout.subject)
    // Squares of numbers beyond 1e154 leave the range of double precision: those are scaled, by a
    // power of two, which changes no digit.
    let largest = recording.samples.lazy.map(abs).max() ?? 0
    let scale = largest > 1e100 ? 0x1p-600 : 1
    let scaled = scale == 1 ? recording.samples : recording.samples.map { $0 * scale }
    let statistics = ChannelStatistics(SignalBlocks(scaled, channels: recording.channelCount))
    channels = selection.columns.enumerated().map { index, column in
      let values = stride(from: index, to: recording.samples.count, by: recording.channelCount)
        .lazy.map { recording.samples[$0] }
      return Channel(
        column: column, name: recording.columnNames?[column - 1],
        mean: statistics.mean[index] / scale, deviation: statistics.deviation[index] / scale,
        minimum: values.min() ?? 0,
        maximum: values.max() ?? 0)
    }
    warnings = try Self.warnings(path, selection: selection, options: options, samples: samples)
  }

  /// What the recording is found to be like by itself; nothing where it is too short to be filtered.
  private static func warnings(
    _ path: String, selection: ChannelSelection, options: ColumnOptions, samples: Int
  ) throws -> [String] {
    let preparation = try Preparation(
      sampleRate: options.sampleRate ?? 512, channels: selection, threads: 1,
      choosesChannels: options.channels != nil)
    guard samples >= preparation.minimumSamples else { return [] }
    let recording = RecordingDescriptor(
      path: path, file: path, session: nil, gesture: 0, subject: nil)
    let survey = try preparation.survey([recording], split: Split(parts: [nil]))
    let prefix = path + ": "
    return (survey.problems.map(\.description) + survey.warnings).map {
      $0.hasPrefix(prefix) ? String($0.dropFirst(prefix.count)) : $0
    }
  }

  var text: String {
    func named(_ number: Int?, _ word: String) -> String {
      number.map { "\(word) \($0)" } ?? "no \(word) in the path"
    }
    var table = TextTable(header: ["channel", "name", "mean", "deviation", "lowest", "highest"])
    for (index, channel) in channels.enumerated() {
      table.append(
        ["\(index + 1) (column \(channel.column))", channel.name ?? "-"]
          + [channel.mean, channel.deviation, channel.minimum, channel.maximum]
          .map { Figure.fixed($0, 6) })
    }
    return """
      \(path): a recording
      \(named(session, "session")), \(named(gesture, "gesture")), \(named(subject, "subject"))
      \(Figure.count(samples, "sample")), \(Figure.fixed(seconds, 2)) s at \
      \(Figure.fixed(sampleRate, 0)) Hz, \(Figure.count(windows, "window")), \
      \(Figure.count(columns, "column")), \(Figure.bytes(bytes))

      \(table.text(within: Console.outputColumns))
      """ + warnings.map { "\nwarning: \($0)" }.joined()
  }
}
