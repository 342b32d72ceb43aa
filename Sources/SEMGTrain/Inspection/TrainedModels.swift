import Artifacts
import Compute
import Foundation
import Networks
import Recordings
import SignalPreparation
import Training

/// The networks of an ensemble, read from their archives.
struct TrainedModels {
  struct Member {
    /// The model's name; the file's where two are alike.
    let name: String
    /// `inception-se`, `semg-net`, or by the file's name.
    let model: String
    let file: String
    let network: Network
    let weights: NetworkWeights
  }

  let members: [Member]
  /// Of the directory that the archives lie in; nil where it has none.
  let preprocessing: Preprocessing?
  /// Where that lies, or would.
  let preprocessingFile: String
  /// The split they were trained by, where it lies beside all of them.
  let splitFile: String?
  /// What has to be said of the files that they were read from.
  let warnings: [String]
  /// What may be said of how good they are.
  let notes: [String]
  /// How the splits contradict the runs they lie in; nil where they do not.
  let splitFault: String?
  /// The splits of the trainings, those that lie beside the models; nil for a model without one.
  let splitFiles: Set<String?>

  /// Reads directories that training wrote and single archives.
  ///
  /// - Parameter chosen: which models are meant where there are others too; nil for all.
  /// - Throws: `CommandFailure` and `ArchiveError` for paths that hold no such thing, or models
  ///   that do not belong together.
  init(_ paths: [String], chosen: [String]? = nil) throws {
    var files = try paths.flatMap(Self.archives)
    let places = files.map { URL(filePath: $0).resolvingSymlinksInPath().path }
    if let twice = files.indices.first(where: { places[..<$0].contains(places[$0]) }) {
      throw CommandFailure(.usage, "\(files[twice]) is named twice; name each model once")
    }
    members = try Self.members(files, chosen: chosen)
    files = members.map(\.file)
    var warnings = try Self.check(members, in: paths, isChosen: chosen != nil)
    var found = try files.map { try RunDirectory.preprocessing(for: $0) }
    let weights = Set(found.map { $0?.ensembleWeights })
    // How models are weighted is no matter of how recordings were prepared.
    for index in found.indices where weights.count > 1 { found[index]?.ensembleWeights = nil }
    if weights.count > 1 {
      warnings.append("the trainings had different ensemble weights: all models count the same")
    }
    guard Set(found.map { $0 == nil }).count <= 1, found.allSatisfy({ $0 == found.first ?? nil })
    else {
      throw CommandFailure(
        .contradiction,
        "the models were trained on differently prepared recordings; evaluate them one by one: "
          + files.joined(separator: ", "))
    }
    preprocessing = found.first ?? nil
    preprocessingFile = RunDirectory.preprocessingFile(for: files.first ?? "")
    let splits = Set(files.map { RunDirectory.splitFile(for: $0) })
    splitFile = splits.count == 1 ? splits.first ?? nil : nil
    splitFiles = splits
    let folders = Self.folders(of: files)
    notes = folders.compactMap(\.guessing)
    splitFault = folders.lazy.compactMap(\.splitFault).first
    warnings += folders.flatMap(\.remarks)
    let odd = folders.first?.hasGenuinePreprocessing ?? true ? [] : preprocessing?.oddities ?? []
    let file = preprocessingFile
    warnings += odd.map { "\(file): \($0)" }
    self.warnings = warnings
    try checkAgreement()
    for member in members {
      try preprocessing?.check(
        preprocessingFile, against: member.file, time: member.network.input.time,
        channels: member.network.input.channels, classes: member.network.classes)
    }
  }

  /// Probabilities `[windows, classes]` of each member.
  func probabilities(
    of windows: [Int32], in data: PreparedRecordings, device: any Device, batchSize: Int
  ) throws -> [(name: String, probabilities: [Float])] {
    try members.map { member in
      let network = try LoadedNetwork(
        member.network, on: device,
        options: .evaluation(windows: windows.count, batchSize: batchSize))
      try network.write(member.weights)
      try network.upload(data.dataset)
      return (member.name, try network.probabilities(of: windows))
    }
  }

  /// Finds what contradicts the windows and the gestures that the networks are to see.
  func check(windowLength: Int, channels: Int, classes: [Int]) throws {
    for member in members {
      try member.network.check(
        member.file, windowLength: windowLength, channels: channels, gestures: classes)
    }
  }

  /// Reads the archives, those of the models that are chosen.
  ///
  /// - Throws: `ArchiveError`, and `CommandFailure` (65) for weights that nothing was ever trained to,
  ///   (78) where a model is chosen that is not there.
  private static func members(_ files: [String], chosen: [String]?) throws -> [Member] {
    let contents = try files.map { try KerasArchive.read($0) }
    for (file, archive) in zip(files, contents) {
      try archive.network.checkTrained(archive.weights, file: file)
    }
    let models = zip(files, contents).map { ChosenModel.name(of: $1.network, in: $0) }
    // By the name of its file, too.
    let chosen = chosen?.map {
      $0.lowercased().hasSuffix(".keras") ? RunDirectory.model(ofArtifact: $0) : $0
    }
    for name in chosen ?? [] where !models.contains(name) {
      let found = zip(models, files).map { "\($0) (\($1))" }.joined(separator: ", ")
      throw CommandFailure(
        .contradiction,
        "--models \(name): found no such model, only \(found)"
          + didYouMean(Suggestions.nearest(to: name, among: models)))
    }
    // In the order in which they were chosen: that of the weights.
    let indices =
      chosen?.flatMap { name in files.indices.filter { models[$0] == name } }
      ?? Array(files.indices)
    return indices.map { index in
      let isAlone = models.count { $0 == models[index] } == 1
      return Member(
        name: isAlone ? models[index] : files[index], model: models[index], file: files[index],
        network: contents[index].network, weights: contents[index].weights)
    }
  }

  /// Finds models that are not those of their runs, and one that is there twice.
  ///
  /// - Returns: what has to be said of archives that somebody named one by one.
  /// - Throws: `CommandFailure` (78).
  private static func check(
    _ members: [Member], in paths: [String], isChosen: Bool
  ) throws -> [String] {
    let models = members.map {
      (
        file: $0.file, name: URL(filePath: $0.file).lastPathComponent,
        fingerprint: $0.network.fingerprint(of: $0.weights).hexadecimal
      )
    }
    var warnings: [String] = []
    for path in paths {
      if InputPath.isDirectory(path) {
        let directory = path.hasSuffix("/") ? String(path.dropLast()) : path
        let own = models.filter { $0.file == "\(directory)/\($0.name)" }
        let fault = RunFolder(directory).fault(
          of: own.map { ($0.name, $0.fingerprint) }, isChosen: isChosen)
        if let fault { throw CommandFailure(.contradiction, fault) }
      } else if let model = models.first(where: { $0.file == path }),
        let fault = RunFolder.of(file: path).changed(model.name, model.fingerprint)
      {
        warnings.append(
          fault + "; what the files beside it say of the training is not true of it")
      }
    }
    for (index, model) in models.enumerated() {
      guard let twin = models[..<index].first(where: { $0.fingerprint == model.fingerprint }) else {
        continue
      }
      throw CommandFailure(
        .contradiction,
        "\(twin.file) and \(model.file) are the same model; remove one, or name each model once")
    }
    return warnings
  }

  /// The folders that the files lie in, each once, in their order.
  private static func folders(of files: [String]) -> [RunFolder] {
    var folders: [RunFolder] = []
    for folder in files.map(RunFolder.of) where !folders.contains(where: { $0.path == folder.path })
    {
      folders.append(folder)
    }
    return folders
  }

  /// Finds weights that are not one per model.
  func check(ensembleWeights: [Double]?) throws {
    guard let weights = ensembleWeights, weights.count != members.count else { return }
    throw CommandFailure(
      .contradiction,
      "--ensemble-weights has \(Figure.count(weights.count, "weight")), expected \(members.count): "
        + "one for each of "
        + members.map(\.file).joined(separator: ", "))
  }

  /// The weight of each member in the ensemble: as asked for, else as the training was told; nil for
  /// equal ones.
  func weights(asked: [Double]?, console: Console) throws -> [Double]? {
    try check(ensembleWeights: asked)
    if let asked {
      let list = zip(members, asked).map { "\($0.name) \(Figure.plain($1))" }
      if members.count > 1 { console.note("ensemble weights: " + list.joined(separator: ", ")) }
      return asked
    }
    guard let trained = preprocessing?.ensembleWeights else { return nil }
    let models = members.map(\.model)
    let ours = NetworkModel.builtIn.map(\.name)
    let others = models + Self.folders(of: members.map(\.file)).flatMap(\.modelNames)
    try preprocessing?.check(
      preprocessingFile, ensembleWeightsOf: models,
      known: ours + Set(others).subtracting(ours).sorted())
    let weights = models.compactMap { trained[$0] }
    guard members.count > 1 else { return nil }
    guard weights.contains(where: { $0 > 0 }) else {
      console.warning(
        "the training gave these models no weight in the ensemble: all count the same")
      return nil
    }
    let list = zip(members, weights).map { "\($0.name) \(Figure.plain($1))" }
    console.note("ensemble weights as in the training: " + list.joined(separator: ", "))
    return weights
  }

  /// How many of the recordings that windows come from the models had seen in their training.
  ///
  /// - Returns: nil where no split lies beside a model: then nobody knows.
  func seen(
    of windows: [Int32], in data: PreparedRecordings
  ) throws -> (counts: SeenCounts, namesakes: Int)? {
    let files = splitFiles.compactMap { $0 }.sorted()
    guard files.count == splitFiles.count else { return nil }
    let seen = try SeenSignals(try files.map { try SplitFile($0) })
    let recordings = Set(windows.map { data.windowRecordings[Int($0)] }).map {
      data.recordings[Int($0)]
    }
    let parts = recordings.map(seen.part)
    let counts = SeenCounts(
      recordings: recordings.count, trainedOn: parts.count { $0 == .train },
      choseEpoch: parts.count { $0 == .validation })
    return (counts, recordings.count(where: seen.isNamesake))
  }

  private func checkAgreement() throws {
    guard let first = members.first else { return }
    for member in members.dropFirst() where member.network.classes != first.network.classes {
      throw CommandFailure(
        .contradiction,
        "\(first.file) tells \(Figure.count(first.network.classes, "gesture")) apart, \(member.file) "
          + "\(member.network.classes); expected models of the same gestures")
    }
  }

  /// The archives that a path stands for: itself, or those in a directory, in the ensemble's order.
  private static func archives(_ path: String) throws -> [String] {
    try InputPath.check(path)
    guard InputPath.isDirectory(path) else { return [path] }
    try InputPath.checkKind(path, expected: "a directory that training wrote")
    let names = try? FileManager.default.contentsOfDirectory(atPath: path)
    let archives = (names ?? []).filter { $0.hasSuffix(".keras") && !$0.hasPrefix(".") }.sorted()
    guard !archives.isEmpty else {
      throw CommandFailure(
        .unreadable,
        "\(path): found no .keras file, expected a directory that training wrote")
    }
    let directory = path.hasSuffix("/") ? String(path.dropLast()) : path
    return archives.map { "\(directory)/\($0)" }
  }
}
