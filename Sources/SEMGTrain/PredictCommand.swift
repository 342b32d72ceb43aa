import ArgumentParser
import Artifacts
import Compute
import Foundation
import Recordings
import Training

struct PredictCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "predict",
    abstract: "Say the gesture and the confidence of each recording and window.",
    discussion: "The paths need no session or gesture in them.")

  @Argument(
    help: .init("Recordings, or directories of them.", valueName: "path"), completion: .file())
  var paths: [String]
  @Option(
    help: .init("A directory that training wrote.", valueName: "dir"), completion: .directory)
  var artifacts = ArtifactOptions.defaultDirectory
  @Option(
    help: .init(
      "Weight of each model in the ensemble. (default: as trained, else equal)",
      valueName: "weights"),
    transform: OptionValue.weights)
  var ensembleWeights: [Double]?
  @OptionGroup(title: "Recordings") var signal: SignalOptions
  @Flag(help: "Go on without bad recordings; they are named as warnings.")
  var skipBad = false
  @OptionGroup(title: "Device") var device: DeviceOptions
  @OptionGroup(title: "Output") var output: OutputOptions

  func run() throws {
    let console = output.console
    let device = try DeviceSettings(device, prefersSpeed: false)
    for path in paths { try Self.check(path) }
    let models = try TrainedModels([artifacts])
    let weights = try models.weights(asked: ensembleWeights, console: console)
    guard let preprocessing = models.preprocessing else {
      throw CommandFailure(
        .unreadable,
        "\(artifacts): found no \(RunDirectory.preprocessingName), expected a directory that training "
          + "wrote; without it nothing says how recordings have to be scaled")
    }
    let preparation = try preprocessing.preparation(
      signal, file: models.preprocessingFile, threads: device.threads, skipsBadRecordings: skipBad,
      console: console)
    try models.check(
      windowLength: preparation.windows.length, channels: preparation.channels.count,
      classes: preprocessing.gestures)
    try device.withDevice(on: console) { opened in
      try predict(
        models, weights: weights, preparation: preparation, preprocessing: preprocessing,
        device: opened, console: console)
    }
  }

  private func predict(
    _ models: TrainedModels, weights: [Double]?, preparation: Preparation,
    preprocessing: Preprocessing, device: any Device, console: Console
  ) throws {
    let searches = try paths.map { try RecordingSearch($0) }
    let prepared = try preparation.prepare(
      searches.flatMap(\.files), statistics: preprocessing.standardization, trained: preprocessing,
      problems: searches.flatMap(\.problems))
    console.warn(linksNotFollowed: searches.flatMap(\.linksNotFollowed))
    console.say(prepared)
    guard !prepared.recordings.isEmpty else {
      throw CommandFailure(.badData, "no recording is left to predict: all of them were skipped")
    }
    let windows = prepared.windowStarts.indices.map(Int32.init)
    let members = try models.probabilities(
      of: windows, in: prepared, device: device, batchSize: 128)
    let probabilities = try Ensemble.mean(members.map(\.probabilities), weights: weights)
    for recording in prepared.recordings {
      let line = RecordingPrediction(
        recording, in: prepared, probabilities: probabilities, classes: preprocessing.gestures)
      if output.json {
        try console.result(json: line)
      } else {
        try console.result(line.text(sampleRate: preprocessing.sampleRate))
      }
    }
  }
}

extension PredictCommand {
  /// Finds paths that lead nowhere, and models where recordings belong.
  private static func check(_ path: String) throws {
    try InputPath.check(path)
    let isModel = InputPath.isArchive(path)
    guard isModel || RunDirectory.holdsArtifacts(path) else {
      return try InputPath.checkKind(path, expected: "a recording (CSV) or a directory of them")
    }
    let directory = isModel ? URL(filePath: path).deletingLastPathComponent().relativePath : path
    throw CommandFailure(
      .usage,
      "found a trained model, \(path), where a recording belongs"
        + didYouMean("--artifacts \(directory)"))
  }
}

/// What the ensemble says about one recording: a line of JSON.
struct RecordingPrediction: Encodable {
  struct Window: Encodable {
    /// The window's first sample, from 0.
    let start: Int
    let gesture: Int
    /// In the order of the classes.
    let probabilities: [Float]
  }

  let recording: String
  /// Nil, as the confidence, where there is no confident answer; the windows are left out then.
  let gesture: Int?
  let confidence: Float?
  /// What may be wrong with the recording.
  let warnings: [String]
  let windows: [Window]

  init(
    _ recording: PreparedRecording, in data: PreparedRecordings, probabilities: [Float],
    classes: [Int]
  ) {
    self.recording = recording.file
    warnings = recording.concerns.filter { $0.weight != .note }.map(\.text)
    guard !recording.isUnanswerable else {
      (gesture, confidence, windows) = (nil, nil, [])
      return
    }
    let rows = recording.windows.map {
      Array(probabilities[$0 * classes.count..<($0 + 1) * classes.count])
    }
    let prediction = Prediction(windows: rows)
    gesture = classes[prediction.classIndex]
    confidence = prediction.confidence
    windows = zip(recording.windows, rows).map { index, row in
      Window(
        start: Int(data.windowStarts[index]) - recording.rows.lowerBound,
        gesture: classes[Prediction(windows: [row]).classIndex], probabilities: row)
    }
  }

  enum CodingKeys: String, CodingKey {
    case recording, gesture, confidence, warnings, windows
  }

  /// Null where there is no answer, so that each line has the same keys.
  func encode(to encoder: any Encoder) throws {
    var container = encoder.container(keyedBy: CodingKeys.self)
    try container.encode(recording, forKey: .recording)
    try container.encode(gesture, forKey: .gesture)
    try container.encode(confidence, forKey: .confidence)
    try container.encode(warnings, forKey: .warnings)
    try container.encode(windows, forKey: .windows)
  }

  /// The recording, then its windows.
  func text(sampleRate: Double) -> String {
    guard let gesture, let confidence else {
      return "\(recording): no confident answer: \(warnings.joined(separator: "; ")); "
        + "--allow-mismatch answers nevertheless"
    }
    let agreeing = windows.count { $0.gesture == gesture }
    var table = TextTable(header: ["  from second", "gesture", "confidence"])
    for window in windows {
      table.append([
        "  " + Figure.fixed(Double(window.start) / sampleRate, 2), "\(window.gesture)",
        Figure.percent(Double(window.probabilities.max() ?? 0)),
      ])
    }
    return "\(recording): gesture \(gesture), confidence \(Figure.percent(Double(confidence))), "
      + "\(agreeing) of \(Figure.count(windows.count, "window"))\n\(table.text)"
  }
}
