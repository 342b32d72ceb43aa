import ArgumentParser
import Artifacts
import Compute
import ComputeOpenCL
import Foundation
import Recordings
import SignalPreparation
import SignalProcessing
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
      "Which models, where there are others too, by their names. (default: all)",
      valueName: "models"),
    completion: .list(ModelChoice.completions), transform: OptionValue.names)
  var models: [String]?
  @Option(
    parsing: .unconditional,
    help: .init(
      "Weight of each model in the ensemble. (default: as trained, else equal)",
      valueName: "weights"),
    transform: OptionValue.ensembleWeights)
  var ensembleWeights: [Double]?
  @OptionGroup(title: "Recordings") var signal: SignalOptions
  @Flag(help: "Go on without bad recordings; they are named as warnings.")
  var skipBad = false
  @Flag(help: "One line per recording, without its windows.")
  var summary = false
  @OptionGroup(title: "Device") var device: DeviceOptions
  @OptionGroup(title: "Output") var output: OutputOptions

  func run() throws {
    let console = output.console
    let device = try DeviceSettings(device, prefersSpeed: false)
    for path in paths { try Self.check(path) }
    let models = try TrainedModels([artifacts], chosen: self.models)
    for sentence in models.warnings { console.warning(sentence) }
    for sentence in models.notes { console.note(sentence) }
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
    var recordings: RecordingsToPredict?
    var hasAnswered = false
    try device.withDevice(on: console) { opened in
      // Looked at once, whatever device is taken in the end.
      let data = try recordings ?? look(preparation, trained: preprocessing, console: console)
      recordings = data
      do {
        try predict(data, models, weights, preprocessing, opened, console) { hasAnswered = true }
        try say(skipped: data.skipped, preprocessing, console)
      } catch let error as DeviceError where hasAnswered {
        throw CommandFailure(.unavailable, "\(error)")
      }
    }
  }

  /// Reads all recordings, and stops where one of them cannot be predicted.
  private func look(
    _ preparation: Preparation, trained: Preprocessing, console: Console
  ) throws -> RecordingsToPredict {
    let searches = try paths.map { try RecordingSearch($0) }
    let files = searches.flatMap(\.files)
    defer { console.clearProgress() }
    let data = try preparation.look(
      at: files, trained: trained, problems: searches.flatMap(\.problems)
    ) { share in
      console.progress(
        "reading \(Figure.count(files.count, "recording"))  \(Figure.fixed(100 * share, 0)) %")
    }
    console.warn(linksNotFollowed: searches.flatMap(\.linksNotFollowed))
    console.say(skipped: data.skipped, warnings: data.warnings, notes: data.notes)
    guard !data.entries.isEmpty else {
      throw CommandFailure(.badData, "no recording is left to predict: all of them were skipped")
    }
    return data
  }

  /// Behind the answers: what has none counts in the output too.
  private func say(
    skipped: [RecordingError], _ preprocessing: Preprocessing, _ console: Console
  ) throws {
    for problem in skipped {
      if output.json {
        try RecordingAnswer.writeJSON(
          skipped: problem, gestures: preprocessing.gestures, sampleRate: preprocessing.sampleRate,
          namesWindows: !summary, to: console)
      } else {
        try RecordingAnswer.writeText(skipped: problem, to: console)
      }
    }
  }

  /// One recording after another: what is known of one is said before the next is looked at.
  private func predict(
    _ data: RecordingsToPredict, _ models: TrainedModels, _ weights: [Double]?,
    _ preprocessing: Preprocessing, _ device: any Device, _ console: Console,
    answered: () -> Void
  ) throws {
    let stream = try WindowStream(
      data, members: models.members.map { ($0.network, $0.weights) }, ensembleWeights: weights,
      device: device)
    // Now that the networks are there.
    try (device as? OpenCLDevice)?.checkAgain()
    let progress = PredictionProgress(data, console: console)
    defer { console.clearProgress() }
    let geometry = try WindowGeometry(sampleRate: preprocessing.sampleRate)
    var answer: RecordingAnswer?
    try stream.run { index, probabilities, isLast in
      var current =
        answer
        ?? RecordingAnswer(
          data.entries[index], gestures: preprocessing.gestures,
          sampleRate: preprocessing.sampleRate, stride: geometry.stride,
          namesWindows: !summary)
      current.add(probabilities)
      answer = isLast ? nil : current
      if isLast {
        answered()
        if output.json {
          try current.writeJSON(to: console)
        } else {
          try current.writeText(to: console)
        }
      }
      progress.add(windows: probabilities.count / preprocessing.gestures.count, of: index)
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
