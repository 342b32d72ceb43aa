import Artifacts
import Foundation
import Recordings
import Training

/// A directory that training wrote, and whether what lies there is what its run left, as far as
/// `metrics.json` says.
struct RunFolder {
  /// What is needed of `metrics.json`; nil where a version that wrote it did not say.
  private struct Record: Decodable {
    struct PartCount: Decodable {
      let recordings: Int?
      let skipped: [String]?
      let ensemble: Metrics?
    }
    let artifacts: [String]
    let fingerprints: [String: String]?
    let recordings: Int?
    let skipped: [String]?
    let validation: PartCount?
  }

  let path: String
  private let record: Record?
  /// Whether `metrics.json` is there and is none.
  private let isDamaged: Bool

  init(_ path: String) {
    self.path = path
    let data = try? WholeFile.read("\(path)/\(RunDirectory.metricsName)")
    record = data.flatMap { try? JSONDecoder().decode(Record.self, from: $0) }
    isDamaged = data != nil && record == nil
  }

  /// The folder that a file lies in.
  static func of(file: String) -> RunFolder {
    RunFolder(URL(filePath: file).deletingLastPathComponent().relativePath)
  }

  private func file(_ name: String) -> String { "\(path)/\(name)" }
  private func exists(_ name: String) -> Bool { FileManager.default.fileExists(atPath: file(name)) }
  private static let metrics = RunDirectory.metricsName

  // MARK: Models

  /// The first way in which the models that lie there are not those that the run trained; nil where
  /// they are, or nothing says which those were.
  ///
  /// - Parameters:
  ///   - models: names and fingerprints of the archives that lie there.
  ///   - isChosen: whether somebody asked for some of them alone.
  func fault(of models: [(name: String, fingerprint: String)], isChosen: Bool) -> String? {
    if let fault = models.lazy.compactMap({ changed($0.name, $0.fingerprint) }).first {
      return fault + "; restore it, or name the file itself to take it nevertheless"
    }
    guard let record else { return nil }
    let names = models.map(\.name)
    if let other = names.first(where: { !record.artifacts.contains($0) }) {
      return "\(file(other)) is not of this run, which trained "
        + "\(record.artifacts.joined(separator: " and ")) by its \(Self.metrics); move it away, or "
        + "name the files that are meant"
    }
    guard !isChosen, let missing = record.artifacts.first(where: { !names.contains($0) }) else {
      return nil
    }
    return "\(file(missing)) is missing, which the run trained by its \(Self.metrics): without it "
      + "the answers are others; restore it, or say by --models which ones are meant"
  }

  /// A sentence where an archive has other weights than the run gave it.
  func changed(_ name: String, _ fingerprint: String) -> String? {
    guard let known = record?.fingerprints?[name], known != fingerprint else { return nil }
    return "\(file(name)) is not the model that this run trained: \(Self.metrics) has another "
      + "fingerprint of its weights"
  }

  /// The models that the run trained, by the names of their files.
  var modelNames: [String] {
    (record?.artifacts ?? []).map { RunDirectory.model(ofArtifact: $0) }
  }

  /// The models that the run trained and that are not there.
  var missingModels: [String] { (record?.artifacts ?? []).filter { !exists($0) } }

  // MARK: Other files

  /// How `split.csv` contradicts `metrics.json`; nil where it does not.
  var splitFault: String? {
    let name = RunDirectory.splitName
    // One that is damaged is told as such where it is read.
    guard let record, exists(name), (try? SplitFile(file(name)).entries) != nil else { return nil }
    if let changed = changed(name) { return changed }
    guard let counts = try? SplitFile(file(name)).recordingCounts else { return nil }
    for (part, count, skipped) in [
      (Part.test, record.recordings, record.skipped),
      (.validation, record.validation?.recordings, record.validation?.skipped),
    ] {
      guard let count, let found = counts[part] else { continue }
      // Bad recordings that were left out stand in the split all the same.
      guard !(count...count + (skipped?.count ?? 0)).contains(found) else { continue }
      return
        "\(file(name)) has \(Figure.count(found, "recording")) in the \(part.rawValue) part, but "
        + "the run had \(count) there by its \(Self.metrics)"
    }
    return nil
  }

  /// How `preprocessing.json` is not what the training wrote; nil where it is, or nothing says so.
  var preprocessingFault: String? { changed(RunDirectory.preprocessingName) }

  /// Whether `preprocessing.json` is known to be what the training wrote.
  var hasGenuinePreprocessing: Bool {
    record?.fingerprints?[RunDirectory.preprocessingName] != nil && preprocessingFault == nil
  }

  private func changed(_ name: String) -> String? {
    guard let known = record?.fingerprints?[name],
      let found = try? Fingerprint(ofFile: file(name)).hexadecimal, found != known
    else { return nil }
    return "\(file(name)) was changed since the training wrote it: \(Self.metrics) has another "
      + "fingerprint of it"
  }

  /// Where the models guess: on the validation part they are hardly better than the most frequent
  /// gesture would be.
  var guessing: String? { record?.validation?.ensemble.flatMap(Self.guessing) }

  static func guessing(_ metrics: Metrics) -> String? {
    let windows = metrics.perClass.map(\.windows)
    guard let most = windows.max(), case let all = windows.reduce(0, +), all > 0 else { return nil }
    let chance = Double(most) / Double(all)
    guard metrics.accuracy <= 1.05 * chance else { return nil }
    return
      "on the validation part the models are right in \(Figure.percent(metrics.accuracy)) of the "
      + "windows, as guessing is in \(Figure.percent(chance)): their answers say nothing yet"
  }

  /// What has to be said of it whatever is done with its models.
  var remarks: [String] {
    if isDamaged, exists(RunDirectory.preprocessingName) {
      return [
        "\(file(Self.metrics)): found something else than the figures of a training run: whether the "
          + "files beside it belong together cannot be checked"
      ]
    }
    guard record == nil, exists(RunDirectory.preprocessingName), exists(RunDirectory.splitName)
    else { return preprocessingFault.map { [$0 + "; it is taken as it is"] } ?? [] }
    return [
      RunDirectory.isInUse(path)
        ? "\(path): a training writes there now, its models are not finished"
        : "\(path): the training was stopped before its end, and \(Self.metrics) is missing: models "
          + "may be missing as well, or unfinished"
    ]
  }
}
