import Artifacts
import Foundation
import Recordings
import Training

/// What a directory that training wrote holds, however far the training came.
struct RunInspection: Inspection {
  enum State: String, Encodable {
    case complete, stopped, running
    /// Models, and nothing else of a run: another program may have saved them.
    case models
  }

  let kind = "run"
  let path: String
  let files: [String]
  let state: State
  /// Files of a whole run that are not there.
  let lacks: [String]
  let preprocessing: Preprocessing?
  /// Recordings of each part, by `split.csv`.
  let split: [String: Int]?
  /// Finished epochs of each model, by `history.csv`.
  let epochs: [String: Int]?
  /// Of `metrics.json`; nil where the run was stopped before it.
  let metrics: RunReport?
  let models: [ArchiveInspection]
  /// What contradicts itself among the files.
  let warnings: [String]

  /// Whether a training writes or wrote there; also where nothing is there that could be recordings.
  static func isRun(_ path: String) -> Bool {
    RunDirectory.isInUse(path) || RunDirectory.holdsArtifacts(path)
      || (try? RecordingSearch(path))?.files.isEmpty ?? true
  }

  /// - Throws: where the directory holds nothing of a run, or damaged files.
  init(_ path: String) throws {
    self.path = path
    let names: [String]
    do {
      names = try FileManager.default.contentsOfDirectory(atPath: path).sorted()
    } catch {
      throw CommandFailure(.unreadable, "\(path): cannot be listed")
    }
    let isRunning = RunDirectory.isInUse(path)
    guard isRunning || RunDirectory.holdsArtifacts(path) else {
      throw CommandFailure(
        .badData,
        "\(path): found no .keras file, expected a directory that training wrote; for a directory "
          + "of recordings: semg-train split --data \(path)")
    }
    let files = names.filter { !$0.hasPrefix(".") }
    self.files = files
    models = try files.filter { $0.hasSuffix(".keras") }
      .map { try ArchiveInspection("\(path)/\($0)") }
    let expected = [
      RunDirectory.splitName, RunDirectory.preprocessingName, RunDirectory.historyName,
      RunDirectory.metricsName,
    ]
    let folder = RunFolder(path)
    lacks =
      expected.filter { !files.contains($0) }
      + (models.isEmpty ? ["a .keras file"] : folder.missingModels)
    preprocessing = try RunDirectory.preprocessing(for: path)
    for model in models {
      try preprocessing?.check(
        RunDirectory.preprocessingFile(for: path), against: model.path, time: model.input[0],
        channels: model.input[1], classes: model.classes)
    }
    split = try RunDirectory.splitFile(for: path).map { file in
      let counts = try SplitFile(file).recordingCounts
      return Dictionary(uniqueKeysWithValues: Part.allCases.map { ($0.rawValue, counts[$0] ?? 0) })
    }
    let file = { (name: String) in files.contains(name) ? "\(path)/\(name)" : nil }
    epochs = try file(RunDirectory.historyName).map(Self.epochs)
    metrics = try file(RunDirectory.metricsName).map(Self.report)
    let archives = models.map { (URL(filePath: $0.path).lastPathComponent, $0.fingerprint) }
    warnings =
      [folder.fault(of: archives, isChosen: true), folder.splitFault, folder.preprocessingFault]
      .compactMap { $0 }
      + (folder.hasGenuinePreprocessing ? [] : preprocessing?.oddities ?? [])
    let isOfARun = lacks.count < expected.count || models.isEmpty
    state =
      isRunning ? .running : metrics != nil ? .complete : isOfARun ? .stopped : .models
  }

  private static func epochs(in file: String) throws -> [String: Int] {
    let text = String(decoding: try WholeFile.read(file), as: UTF8.self)
    guard text.hasPrefix(TrainingHistory.header) else {
      throw CommandFailure(
        .badData, "\(file): found something else than the epochs of a training run")
    }
    let rows = text.split(whereSeparator: \.isNewline).dropFirst()
    return Dictionary(grouping: rows) { String($0.prefix { $0 != "," }) }.mapValues(\.count)
  }

  private static func report(in file: String) throws -> RunReport {
    let data = try WholeFile.read(file)
    let report: RunReport
    do {
      report = try JSONDecoder().decode(RunReport.self, from: data)
    } catch {
      let why = (error as? DecodingError).map { " (\(RunDirectory.text(of: $0)))" } ?? ""
      throw CommandFailure(
        .badData, "\(file): found something else than the figures of a training run\(why)")
    }
    if let (found, expected) = report.contradiction {
      throw CommandFailure(
        .badData, "\(file): found \(found), expected \(expected). Train again, or restore the file."
      )
    }
    return report
  }

  var text: String {
    let what = state == .models ? "trained models" : "a training run"
    var lines = ["\(path): \(what): " + shortList(files)]
    lines += preprocessing.map(Self.lines) ?? []
    if let split {
      let parts = Part.allCases.map { "\($0.rawValue) \(split[$0.rawValue] ?? 0)" }
      lines.append("recordings: " + parts.joined(separator: ", "))
    }
    for model in models {
      lines.append(
        "\(model.model): \(model.parameters) parameters, \(Figure.count(model.classes, "gesture"))"
          + (model.padding.map { ", padding \($0)" } ?? ""))
    }
    for (model, count) in (epochs ?? [:]).sorted(by: { $0.key < $1.key }) {
      let best = metrics?.bestEpoch[model].map { ", the best is \($0)" } ?? ""
      lines.append("\(model): \(Figure.count(count, "epoch"))\(best)")
    }
    if let metrics {
      lines.append(
        "recipe \(metrics.recipe.rawValue), seed \(metrics.seed), "
          + "\(Figure.count(metrics.epochs, "epoch")) asked for, \(Figure.time(metrics.seconds)) on "
          + "\(metrics.device)" + (metrics.precision.map { " in \($0)" } ?? "")
          + (metrics.batchSize.map { ", \(Figure.count($0, "sample")) per batch" } ?? ""))
      lines += Self.lines(metrics.origin)
    }
    lines += stateLines + warnings.map { "warning: \($0)" }
    guard let metrics else { return lines.joined(separator: "\n") }
    return (lines + ["", ReportText(metrics.test).text]).joined(separator: "\n")
  }

  /// How the run came about, as far as the file says.
  private static func lines(_ origin: RunOrigin) -> [String] {
    let by = [
      origin.version.map { "by semg-train \($0)" }, origin.date.map { "on \($0)" },
      origin.commandLine.map { "as: " + $0.map(quoted).joined(separator: " ") },
    ].compactMap { $0 }
    let data = [
      origin.dataDirectory.map { "data \($0)" }, origin.dataFingerprint.map { "fingerprint \($0)" },
      origin.splitSource.map { "split: \($0)" },
    ].compactMap { $0 }
    return [
      by.isEmpty ? nil : "trained " + by.joined(separator: " "),
      data.isEmpty ? nil : data.joined(separator: ", "),
    ].compactMap { $0 }
  }

  /// As a shell takes it.
  private static func quoted(_ argument: String) -> String {
    let isPlain = argument.utf8.allSatisfy { byte in
      (UInt8(ascii: "a")...UInt8(ascii: "z")).contains(byte | 0x20)
        || "0123456789-_=+./,:@%".utf8.contains(byte)
    }
    guard !isPlain || argument.isEmpty else { return argument }
    return "'" + argument.replacing("'", with: "'\\''") + "'"
  }

  /// What was done to the recordings.
  private static func lines(_ preprocessing: Preprocessing) -> [String] {
    let filter = preprocessing.filter
    let notch = filter.notchHertz.map { "notch \(Figure.plain($0)) Hz" } ?? "no notch"
    let gestures = numberList(preprocessing.gestures)
    return [
      "\(Figure.plain(preprocessing.sampleRate)) Hz, \(Figure.count(preprocessing.channels.count, "channel")), band "
        + "\(Figure.fixed(filter.lowHertz, 1))–\(Figure.fixed(filter.highHertz, 1)) Hz, \(notch); "
        + "windows of \(preprocessing.windowLength) samples every \(preprocessing.windowStride)",
      "gestures \(gestures); recipe \(preprocessing.recipe)",
    ]
  }

  private var stateLines: [String] {
    switch state {
    case .complete: lacks.isEmpty ? [] : ["lacks " + lacks.joined(separator: ", ")]
    case .running: ["a run writes there now; still to come: " + lacks.joined(separator: ", ")]
    case .models: ["models alone, without \(lacks.joined(separator: ", "))"]
    case .stopped:
      [
        "stopped before its end: lacks " + lacks.joined(separator: ", "),
        models.isEmpty
          ? "no epoch was finished: there is no model to evaluate or predict with; train again"
          : "its models are whole: the best of the epochs that were finished",
      ]
    }
  }
}
