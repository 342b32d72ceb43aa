import ArgumentParser
import Artifacts
import Compute
import Foundation
import Recordings
import SignalPreparation
import Training

struct TrainCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "train",
    abstract: "Find recordings, train the models, write artifacts, evaluate on the test part.")

  @OptionGroup(title: "Recordings") var data: DataOptions
  @OptionGroup(title: "Split") var split: SplitOptions
  @OptionGroup(title: "Training") var training: TrainingOptions
  @OptionGroup(title: "Device") var device: DeviceOptions
  @OptionGroup(title: "Output") var artifacts: ArtifactOptions
  @OptionGroup(title: "Output") var output: OutputOptions

  func run() throws {
    let console = output.console
    let start = Date()
    let settings = try TrainSettings(self)
    try OutputPath.check(settings.output)
    if training.reinitialize { settings.models.forEach { Self.warn(ofInitializers: $0, console) } }
    var directory: RunDirectory?
    let (report, prepared) = try settings.device.withDevice(on: console) { device in
      let (prepared, parts) = try prepare(settings, console: console)
      try settings.explain(prepared, device: device, on: console)
      settings.explainWeights(gestures: prepared.classes, on: console)
      let report = try train(
        settings, prepared, on: device, since: start, console: console
      ) {
        // The directory is locked as long as the object lives.
        let made = try create(settings, console: console)
        directory = made
        try made.write(split: parts)
        try made.write(preprocessing(settings, prepared))
        return made
      }
      return (report, prepared)
    }
    guard let report else {
      throw CommandFailure(.interrupted, OutputPath.contentsAfterInterrupt(directory?.path))
    }
    if let sentence = RunFolder.guessing(report.validation.ensemble) { console.note(sentence) }
    try print(report, prepared: prepared, on: console)
  }

  private static func warn(ofInitializers chosen: ChosenModel, _ console: Console) {
    guard let (file, _, info) = chosen.archive, !info.otherInitializers.isEmpty else { return }
    console.warning(
      "\(file): its layers are to begin with \(info.otherInitializers.joined(separator: ", ")); "
        + "--reinitialize draws by Keras's usual GlorotUniform, Zeros and Ones. Without it training "
        + "begins with the weights in the file")
  }

  private func create(_ settings: TrainSettings, console: Console) throws -> RunDirectory {
    let directory = try RunDirectory(creating: settings.output)
    if let earlier = directory.earlierRun {
      console.note("\(settings.output) held artifacts already: renamed \(earlier)")
    }
    return directory
  }

  private func preprocessing(
    _ settings: TrainSettings, _ prepared: PreparedRecordings
  ) -> Preprocessing {
    var preprocessing = Preprocessing(
      settings.data, preparation: settings.preparation, prepared: prepared,
      recipe: settings.run.recipe.pipeline)
    preprocessing.ensembleWeights = settings.run.ensembleWeightsByModel
    return preprocessing
  }

  /// - Parameter directory: opens the run's, once the networks are loaded.
  /// - Returns: nil where the run was stopped.
  /// - Throws: `DeviceError.computesWrongly` as it is before anything is trained; later it ends the
  ///   run as any other.
  private func train(
    _ settings: TrainSettings, _ prepared: PreparedRecordings, on device: any Device,
    since start: Date, console: Console, directory: @escaping () throws -> RunDirectory
  ) throws -> RunReport? {
    let run = TrainingRun(
      data: prepared, device: device, settings: settings.run, start: ProcessStart.instant,
      origin: RunOrigin(
        version: Version.program, commandLine: ["semg-train"] + CommandLine.arguments.dropFirst(),
        date: UniversalTime(start).iso8601, dataDirectory: settings.data.directory,
        dataFingerprint: Fingerprint(of: prepared.contents.mapValues(\.fingerprint)).hexadecimal,
        splitSource: settings.split.origin),
      directory: directory)
    let progress = TrainingProgress(console: console)
    defer { console.clearProgress() }
    do {
      return try Interrupt.deferred {
        try run.train(report: progress.report, shouldStop: { Interrupt.isRequested })
      }
    } catch let error as DeviceError where progress.hasBegun {
      throw CommandFailure(.unavailable, "\(error)")
    }
  }

  /// - Returns: the recordings, and their split as CSV.
  private func prepare(
    _ settings: TrainSettings, console: Console
  ) throws -> (PreparedRecordings, split: String) {
    let selected = try settings.data.select(by: settings.split, console: console)
    // Where the list of gestures is what it will be, before all files are read.
    if selected.problems.isEmpty || settings.data.skipsBadRecordings {
      try settings.check(classes: selected.split.gestures(of: selected.descriptors))
    }
    if let sentence = Self.sentence(selected.split.gaps(among: selected.descriptors)) {
      console.note(sentence)
    }
    console.note(
      "reading \(Figure.count(selected.split.parts.count { $0 != nil }, "recording")) "
        + "below \(settings.data.directory)")
    let prepared = try settings.preparation.prepare(
      selected.descriptors, split: selected.split,
      statistics: settings.run.recipe.pipeline.statistics,
      problems: selected.problems)
    console.say(prepared)
    // Skipping may have taken a gesture away.
    try settings.check(classes: prepared.classes)
    for model in settings.models {
      try model.check(
        windowLength: prepared.windowLength, channels: prepared.channels,
        gestures: prepared.classes)
    }
    return (
      prepared, selected.split.csv(of: selected.descriptors, contents: prepared.contents)
    )
  }

  /// Whose gestures only one of the halves shows; nil where each shows all.
  private static func sentence(_ gaps: [Split.Gap]) -> String? {
    guard !gaps.isEmpty else { return nil }
    let shown = gaps.prefix(4).map {
      "the \($0.part.rawValue) part has none of subject \($0.subject)'s gesture "
        + numberList($0.gestures)
    }
    let more = gaps.count > 4 ? ["and \(gaps.count - 4) more such"] : []
    return "the halves of the test sessions differ: " + (shown + more).joined(separator: "; ")
  }

  private func print(
    _ report: RunReport, prepared: PreparedRecordings, on console: Console
  ) throws {
    if output.json {
      try console.result(json: report)
    } else {
      try console.result(ReportText(report.test).text)
      try console.result("")
      let folder = artifacts.output.hasSuffix("/") ? artifacts.output : artifacts.output + "/"
      try console.result(
        "Artifacts: " + report.artifacts.map { folder + $0 }.joined(separator: ", "))
    }
  }
}

/// How the models are trained: the options, checked against each other.
struct TrainSettings {
  let data: DataSettings
  let split: SplitSettings
  let device: DeviceSettings
  let run: RunSettings
  /// The networks of `run`.
  let models: [ChosenModel]
  let output: String
  let preparation: Preparation

  /// - Throws: `CommandFailure` and others for settings that contradict each other.
  init(_ command: TrainCommand) throws {
    device = try DeviceSettings(command.device, prefersSpeed: true)
    data = try DataSettings(command.data, threads: device.threads)
    preparation = try data.preparation
    split = try SplitSettings(command.split)
    output = command.artifacts.output
    (run, models) = try command.training.settings(seed: split.seed)
    guard !output.isEmpty else {
      throw CommandFailure(.usage, "--output is empty, expected a directory")
    }
    try checkPlaces()
  }

  /// Finds output that would be read as recordings, and recordings that would be moved away.
  private func checkPlaces() throws {
    let (target, source) = (Self.resolved(output) + "/", Self.resolved(data.directory) + "/")
    guard !target.hasPrefix(source) else {
      throw CommandFailure(
        .contradiction,
        "--output \(output) lies in the data directory \(data.directory), where its history.csv "
          + "would be taken for a recording; choose a directory outside")
    }
    guard !source.hasPrefix(target) || !RunDirectory.holdsArtifacts(output) else {
      throw CommandFailure(
        .contradiction,
        "--output \(output) holds artifacts and the recordings \(data.directory) too, which would "
          + "be renamed with them; choose another --output")
    }
  }

  /// Finds what contradicts the gestures that were found.
  func check(classes: [Int]) throws {
    guard let weights = run.classWeights, weights.count != classes.count else { return }
    throw CommandFailure(
      .contradiction,
      "--class-weights has \(Figure.count(weights.count, "weight")), expected \(classes.count): one "
        + "for each of the gestures " + numberList(classes))
  }

  private static func resolved(_ path: String) -> String {
    URL(filePath: path).standardizedFileURL.resolvingSymlinksInPath().path
  }
}

extension TrainingOptions {
  /// - Throws: `CommandFailure` for settings that contradict each other.
  func settings(seed: UInt64) throws -> (RunSettings, [ChosenModel]) {
    let choices = self.models ?? ModelChoice.ofEnsemble
    let hasArchives = choices.contains { if case .archive = $0 { true } else { false } }
    guard hasArchives || !reinitialize else {
      throw CommandFailure(
        .contradiction, "--reinitialize is for .keras files, and --models names none; drop it")
    }
    let chosen = try ChosenModel.all(choices, reinitializes: reinitialize)
    try chosen.forEach { try $0.checkTrainable() }
    let models = chosen.map(\.model)
    if let weights = ensembleWeights, weights.count != models.count {
      throw CommandFailure(
        .contradiction,
        "--ensemble-weights has \(Figure.count(weights.count, "weight")), expected \(models.count): "
          + "one per model, "
          + "in the order of --models \(choices.map(\.text).joined(separator: ","))")
    }
    if let padding, !models.contains(where: \.takesPadding) {
      throw CommandFailure(
        .contradiction,
        "--padding \(padding.rawValue) is for inception-se, which is not in --models; "
          + "drop --padding or add inception-se to --models")
    }
    var recipe = TrainingRecipe(recipe ?? .standard)
    recipe.epochs = epochs ?? recipe.epochs
    recipe.batchSize = batchSize ?? recipe.batchSize
    recipe.seed = seed
    let settings = RunSettings(
      models: models, recipe: recipe, padding: padding,
      classWeights: classWeights.map { $0.map(Float.init) },
      ensembleWeights: ensembleWeights, maximumMinutes: maxMinutes)
    return (settings, chosen)
  }
}

extension Recipe {
  /// Where the mean and the deviation of each channel come from.
  var statistics: Preparation.StatisticsSource {
    standardizesFiltered ? .filteredTraining : .rawTraining
  }
}

extension DataSettings {
  /// - Throws: `SignalProcessingError` where the rate, the band and the notch contradict each other.
  var preparation: Preparation {
    get throws {
      try Preparation(
        sampleRate: sampleRate, channels: channels, filters: filters, threads: threads,
        skipsBadRecordings: skipsBadRecordings, scale: scale, allowsMismatch: allowsMismatch,
        choosesChannels: choosesChannels)
    }
  }
}
