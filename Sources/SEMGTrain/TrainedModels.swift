import Artifacts
import Compute
import Foundation
import Networks
import Recordings
import Training

/// The networks of an ensemble, read from their archives.
struct TrainedModels {
  struct Member {
    /// `inception-se` or `semg-net`; the file's name where two are alike.
    let name: String
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
  /// The splits of the trainings, those that lie beside the models; nil for a model without one.
  let splitFiles: Set<String?>

  /// Reads directories that training wrote and single archives.
  ///
  /// - Throws: `CommandFailure` and `ArchiveError` for paths that hold no such thing, or models
  ///   that do not belong together.
  init(_ paths: [String]) throws {
    let files = try paths.flatMap(Self.archives)
    let places = files.map { URL(filePath: $0).resolvingSymlinksInPath().path }
    if let twice = files.indices.first(where: { places[..<$0].contains(places[$0]) }) {
      throw CommandFailure(.usage, "\(files[twice]) is named twice; name each model once")
    }
    let contents = try files.map { try KerasArchive.read($0) }
    let kinds = contents.map { Self.kind(of: $0.network) }
    members = zip(files, zip(contents, kinds)).map { file, model in
      let isAlone = kinds.count { $0 == model.1 } == 1
      return Member(
        name: isAlone ? model.1.rawValue : file, file: file, network: model.0.network,
        weights: model.0.weights)
    }
    var found = try files.map { try RunDirectory.preprocessing(for: $0) }
    let weights = Set(found.map { $0?.ensembleWeights })
    // How models are weighted is no matter of how recordings were prepared.
    for index in found.indices where weights.count > 1 { found[index]?.ensembleWeights = nil }
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
      let input = member.network.input
      guard input.time == windowLength, input.channels == channels else {
        throw CommandFailure(
          .contradiction,
          "\(member.file) takes windows of \(Figure.count(input.time, "sample")) of "
            + "\(Figure.count(input.channels, "channel")), "
            + "the recordings give \(windowLength) of \(channels); see --sample-rate and --channels"
        )
      }
      guard member.network.classes == classes.count else {
        throw CommandFailure(
          .contradiction,
          "\(member.file) tells \(Figure.count(member.network.classes, "gesture")) apart, the training part of the "
            + "recordings has \(classes.count): \(numberList(classes))"
        )
      }
    }
  }

  /// Finds weights that are not one a model.
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
    if let asked { return asked }
    guard members.count > 1, let trained = preprocessing?.ensembleWeights else { return nil }
    let weights = members.compactMap { trained[$0.name] }
    guard weights.count == members.count, weights.contains(where: { $0 > 0 }) else { return nil }
    let list = zip(members, weights).map { "\($0.name) \(Figure.plain($1))" }
    console.note("ensemble weights as in the training: " + list.joined(separator: ", "))
    return weights
  }

  /// How many of the recordings that windows come from the models had seen in their training.
  ///
  /// - Returns: nil where no split lies beside a model: then nobody knows.
  func seen(of windows: [Int32], in data: PreparedRecordings) throws -> SeenCounts? {
    let files = splitFiles.compactMap { $0 }.sorted()
    guard files.count == splitFiles.count else { return nil }
    let seen = try SeenRecordings(try files.map { try SplitFile($0) })
    let recordings = Set(windows.map { Int(data.windowRecordings[Int($0)]) })
    let parts = recordings.map {
      seen.part(ofPath: data.recordings[$0].path, content: data.recordings[$0].fingerprint)
    }
    return SeenCounts(
      recordings: recordings.count, trainedOn: parts.count { $0 == .train },
      choseEpoch: parts.count { $0 == .validation })
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

  /// By what sets the two apart, whatever a file or its layers are called.
  private static func kind(of network: Network) -> ModelKind {
    let attends = network.layers.contains { $0.kind is Layers.MultiHeadAttention }
    return attends ? .inceptionSE : .semgNet
  }
}
