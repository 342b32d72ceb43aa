import ArgumentParser
import Artifacts
import Foundation
import Networks
import Recordings
import SignalPreparation
import Training

struct EvaluateCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "evaluate",
    abstract: "Accuracy, macro-F1, confusion and per subject, of trained models on recordings.")

  @Argument(
    help: .init(
      "A directory that training wrote, or .keras files. (default: artifacts_final)",
      valueName: "artifact"),
    completion: .file())
  var artifacts: [String] = []
  @Option(
    help: .init("test, validation, train or all. (default: test)", valueName: "part"),
    completion: .list(EvaluatedPart.names), transform: OptionValue.choice)
  var part: EvaluatedPart?
  @Option(
    help: .init(
      "The pipeline of .keras files without a preprocessing.json beside them: standard or "
        + "published. (default: standard)", valueName: "recipe"),
    completion: .list(Recipe.names), transform: OptionValue.choice)
  var recipe: Recipe?
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
  @Option(
    help: .init(
      "Windows a batch. (default: \(NetworkPlanOptions.usualBatchSize))", valueName: "number"),
    transform: OptionValue.number(1...65536))
  var batchSize: Int?
  @Flag(help: "Go on with recordings that the models were trained on, which the output says.")
  var allowSeen = false
  @OptionGroup(title: "Recordings") var data: DataOptions
  @OptionGroup(title: "Split") var split: SplitOptions
  @OptionGroup(title: "Device") var device: DeviceOptions
  @OptionGroup(title: "Output") var output: OutputOptions

  func run() throws {
    let console = output.console
    let device = try DeviceSettings(device, prefersSpeed: false)
    let data = try DataSettings(data, threads: device.threads)
    let part = part ?? .test
    let models = try TrainedModels(
      artifacts.isEmpty ? [ArtifactOptions.defaultDirectory] : artifacts, chosen: self.models)
    for sentence in models.warnings { console.warning(sentence) }
    for sentence in models.notes { console.note(sentence) }
    if let fault = models.splitFault {
      guard allowSeen else {
        throw CommandFailure(
          .contradiction,
          fault
            + ": nothing says any more which recordings the models were trained on; restore the "
            + "file, or go on with --allow-seen")
      }
      console.warning(fault)
    }
    let isWhole = part == .all && models.preprocessing != nil && split.saysNothing
    let split =
      try isWhole
      ? .undivided : SplitSettings(split, saved: part == .all ? nil : models.splitFile)
    let weights = try models.weights(asked: ensembleWeights, console: console)
    let prepared = try prepare(models, data: data, split: split, part: part, console: console)
    console.say(prepared)
    let windows = part.parts.sorted { $0.rawValue < $1.rawValue }
      .flatMap { prepared.windows(of: $0) }.sorted()
    guard !windows.isEmpty else {
      throw CommandFailure(.badData, "the \(part.rawValue) part has no windows to evaluate on")
    }
    try checkGestures(of: prepared, windows: windows, part: part, console: console)
    let seen = try checkSeen(models, windows: windows, in: prepared, part: part, console: console)
    let members = try device.withDevice(on: console) {
      try models.probabilities(
        of: windows, in: prepared, device: $0,
        batchSize: batchSize ?? NetworkPlanOptions.usualBatchSize)
    }
    var report = try PartReport(
      part: part.rawValue, of: prepared, windows: windows, members: members, weights: weights)
    report.seen = seen
    if output.json {
      try console.result(json: report)
    } else {
      try console.result(ReportText(report).text)
    }
  }

  /// Finds recordings that the models saw in their training: their figures would say how well a model
  /// remembers. `train` says by itself what it is, and `validation` that it chose the epoch.
  private func checkSeen(
    _ models: TrainedModels, windows: [Int32], in data: PreparedRecordings, part: EvaluatedPart,
    console: Console
  ) throws -> SeenCounts? {
    guard let (seen, namesakes) = try models.seen(of: windows, in: data) else {
      console.warning(
        "no \(RunDirectory.splitName) beside the model: nothing says which of these recordings it "
          + "was trained on")
      return nil
    }
    if namesakes > 0 {
      console.warning(
        "\(Figure.count(namesakes, "recording")) at paths of the training's recordings "
          + "\(namesakes == 1 ? "has another signal" : "have other signals") than then: taken for new "
          + "ones")
    }
    let isUnexpected =
      switch part {
      case .train: false
      case .validation: seen.trainedOn > 0
      case .test, .all: seen.trainedOn + seen.choseEpoch > 0
      }
    guard isUnexpected else { return seen }
    guard allowSeen else {
      throw CommandFailure(
        .contradiction,
        "\(seen.sentence): figures of these say nothing about new ones. Without --seed, --split and "
          + "other options that say the parts, the run's own test part is taken; or go on with "
          + "--allow-seen")
    }
    console.warning(seen.sentence)
    return seen
  }

  /// Finds gestures that no window shows: their F1 of 0 would stand for nothing measured.
  private func checkGestures(
    of data: PreparedRecordings, windows: [Int32], part: EvaluatedPart, console: Console
  ) throws {
    let shown = Set(windows.map { data.labels[Int($0)] })
    let missing = data.classes.indices.filter { !shown.contains(Int32($0)) }
      .map { data.classes[$0] }
    guard !missing.isEmpty else { return }
    let who =
      part == .all
      ? "all recordings together have none" : "the \(part.rawValue) part has no recording"
    let sentence = "\(who) of gesture \(numberList(missing)), which the models know"
    // Whoever takes all recordings takes those that there are.
    guard self.data.skipBad || part == .all else {
      throw CommandFailure(
        .badData, sentence + "; add one, or go on with --skip-bad: its F1 then counts as 0")
    }
    console.warning(sentence + ": its F1 counts as 0")
  }

  /// Reads the part's recordings as those of the training were; where nothing says how that was,
  /// fits the statistics to the training part again, and says so.
  private func prepare(
    _ models: TrainedModels, data: DataSettings, split: SplitSettings, part: EvaluatedPart,
    console: Console
  ) throws -> PreparedRecordings {
    let selected = try data.select(by: split, console: console)
    var problems = selected.problems
    let preparation: Preparation
    let statistics: Preparation.StatisticsSource
    let classes: [Int]
    var parts = part.parts
    if let known = models.preprocessing {
      if let recipe, recipe.rawValue != known.recipe {
        throw CommandFailure(
          .contradiction,
          "--recipe \(recipe.rawValue) is given, but the models were trained by the recipe "
            + "\(known.recipe); drop --recipe")
      }
      preparation = try known.preparation(
        self.data.signal, file: models.preprocessingFile, threads: data.threads,
        skipsBadRecordings: data.skipsBadRecordings, console: console)
      statistics = .given(known.standardization)
      classes = known.gestures
      // Nothing is trained: what the other parts lack is no matter.
      problems.removeAll { $0.isOfTheSet && !part.needs($0) }
    } else {
      let recipe = recipe ?? .standard
      preparation = try data.preparation
      statistics = recipe.statistics
      classes = selected.split.gestures(of: selected.descriptors)
      parts.insert(.train)
      console.warning(
        "no \(RunDirectory.preprocessingName) beside the model: mean and deviation are fitted from the "
          + "training part, by the recipe \(recipe.rawValue)")
    }
    try models.check(
      windowLength: preparation.windows.length, channels: preparation.channels.count,
      classes: classes)
    return try preparation.prepare(
      selected.descriptors, split: selected.split, parts: parts, classes: classes,
      statistics: statistics, trained: models.preprocessing, problems: problems)
  }
}

extension EvaluatedPart {
  /// Whether a fault of the set keeps this part from being evaluated. Which gestures it shows is
  /// asked of its windows.
  fileprivate func needs(_ fault: RecordingError) -> Bool {
    switch fault {
    case .sessionMissing(_, let part, _): parts.contains(part) || part == .test && self != .train
    case .sessionInNoPart: true
    default: false
    }
  }
}

extension SeenCounts {
  /// `40 of these 60 recordings were trained on, 10 chose the epoch`
  var sentence: String {
    "\(trainedOn) of these \(Figure.count(recordings, "recording")) "
      + "\(trainedOn == 1 ? "was" : "were") trained on, \(choseEpoch) chose the epoch"
  }
}
