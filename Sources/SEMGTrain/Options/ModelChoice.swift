import ArgumentParser
import Artifacts
import Compute
import Foundation
import Networks
import Recordings

/// What `--models` names: a network of ours, or an archive of somebody's own.
enum ModelChoice: Hashable {
  case builtIn(NetworkModel)
  case archive(String)

  /// `inception-se,my_net.keras`: none twice.
  @Sendable static func parse(_ text: String) throws -> [ModelChoice] {
    let choices = try OptionValue.items(of: text).map { item throws -> ModelChoice in
      if let model = NetworkModel.builtIn.first(where: { $0.name == item }) {
        return .builtIn(model)
      }
      guard item.lowercased().hasSuffix(".keras") else {
        if FileManager.default.fileExists(atPath: text) {
          throw ValidationError(
            "commas stand between models, expected a file name without one; rename the file")
        }
        let names = NetworkModel.builtIn.map(\.name)
        throw ValidationError(
          "expected \(names.joined(separator: ", ")) or a .keras file"
            + didYouMean(Suggestions.nearest(to: item, among: names)))
      }
      return .archive(item)
    }
    guard Set(choices).count == choices.count else {
      throw ValidationError("expected each at most once")
    }
    return choices
  }

  /// As it was typed.
  var text: String {
    switch self {
    case .builtIn(let model): model.name
    case .archive(let file): file
    }
  }

  static let ofEnsemble = NetworkModel.builtIn.map(ModelChoice.builtIn)
  static let completions = NetworkModel.builtIn.map(\.name)
}

/// A network that is to be trained or timed, and the archive that it came from.
struct ChosenModel {
  let model: NetworkModel
  /// Nil for one of ours.
  let archive: (file: String, network: Network, info: ArchiveInfo)?

  /// - Parameter reinitializes: whether an archive's weights are left aside.
  /// - Throws: `CommandFailure` and `ArchiveError` for a file that holds no network.
  init(_ choice: ModelChoice, reinitializes: Bool = false) throws {
    switch choice {
    case .builtIn(let model): (self.model, archive) = (model, nil)
    case .archive(let file):
      try InputPath.check(file)
      try Self.checkName(
        RunDirectory.model(ofArtifact: URL(filePath: file).lastPathComponent), file)
      let contents = try KerasArchive.read(file)
      archive = (file, contents.network, contents.info)
      model = NetworkModel(
        name: Self.name(of: contents.network, in: file), network: contents.network,
        initialWeights: reinitializes ? nil : contents.weights)
    }
  }

  /// Those chosen, none under the name of another.
  ///
  /// - Throws: `CommandFailure` and `ArchiveError`.
  static func all(_ choices: [ModelChoice], reinitializes: Bool = false) throws -> [ChosenModel] {
    let all = try choices.map { try ChosenModel($0, reinitializes: reinitializes) }
    for (index, chosen) in all.enumerated() {
      guard let other = all[..<index].first(where: { $0.model == chosen.model }) else { continue }
      throw CommandFailure(
        .contradiction,
        "--models: \(chosen.text) and \(other.text) would both be called \(chosen.model.name); give a "
          + "file another name")
    }
    return all
  }

  /// Finds names that cannot be a model's: in tables, in files' names, beside the ensemble.
  ///
  /// - Throws: `CommandFailure` (78).
  private static func checkName(_ name: String, _ file: String) throws {
    let fault: String? =
      if name.isEmpty {
        "no name before .keras"
      } else if name == "ensemble" {
        "the name that all models together have"
      } else if name.unicodeScalars.contains(where: { $0.properties.generalCategory == .control }) {
        "a control character in its name"
      } else if RunDirectory.artifactName(of: name).utf8.count > 200 {
        "a name of \(name.utf8.count) bytes, more than a file's name has room for"
      } else {
        nil
      }
    guard let fault else { return }
    throw CommandFailure(
      .contradiction,
      "\(file): found \(fault), expected a file that a model can be named by; rename it")
  }

  private var text: String { archive?.file ?? model.name }

  /// The name of the one of ours that it is, else that of the file: `my-net` for `my_net.keras` and
  /// for the `best_my_net.keras` that its training writes.
  static func name(of network: Network, in file: String) -> String {
    if let model = NetworkModel.builtIn(like: network) { return model.name }
    return RunDirectory.model(ofArtifact: URL(filePath: file).lastPathComponent)
  }

  /// For windows as the networks of ours are timed with; somebody's own as it is.
  ///
  /// - Throws: `NetworkError`.
  func network(padding: Padding?) throws -> Network {
    if let archive { return archive.network }
    return try model.network(
      for: NetworkModel.Purpose(time: 204, channels: 8, classes: 5, padding: padding ?? .causal))
  }

  /// Finds layers that somebody froze, which we would train.
  ///
  /// - Throws: `CommandFailure` (65).
  func checkTrainable() throws {
    guard let archive, let first = archive.info.frozenLayers.first else { return }
    let others = archive.info.frozenLayers.count - 1
    throw CommandFailure(
      .badData,
      "\(archive.file): layer \(first)\(others > 0 ? " and \(others) more" : "") has "
        + "trainable=False, expected layers that are all to be trained; set trainable=True in Keras "
        + "and save it again")
  }

  /// Finds what keeps it from taking the windows and telling the gestures apart.
  ///
  /// - Throws: `CommandFailure` (78).
  func check(windowLength: Int, channels: Int, gestures: [Int]) throws {
    guard let archive else { return }
    try archive.network.check(
      archive.file, windowLength: windowLength, channels: channels, gestures: gestures)
  }
}

extension Network {
  /// Finds what contradicts the windows and the gestures that it is to see.
  ///
  /// - Parameter file: the archive that it is from, for messages.
  /// - Throws: `CommandFailure` (78).
  func check(_ file: String, windowLength: Int, channels: Int, gestures: [Int]) throws {
    guard input.time == windowLength, input.channels == channels else {
      throw CommandFailure(
        .contradiction,
        "\(file) takes windows of \(Figure.count(input.time, "sample")) of "
          + "\(Figure.count(input.channels, "channel")), the recordings give \(windowLength) of "
          + "\(channels); see --sample-rate and --channels")
    }
    guard classes == gestures.count else {
      throw CommandFailure(
        .contradiction,
        "\(file) tells \(Figure.count(classes, "gesture")) apart, the training part of the "
          + "recordings has \(gestures.count): \(numberList(gestures))")
    }
  }
}
