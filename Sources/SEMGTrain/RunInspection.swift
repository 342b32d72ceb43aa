import Foundation
import Training

/// What a directory that training wrote holds.
struct RunInspection: Inspection {
  let kind = "run"
  let path: String
  let files: [String]
  /// Of `metrics.json`; nil where the run was stopped before it.
  let metrics: RunReport?
  let models: [ArchiveInspection]

  /// - Throws: where the directory holds no artifacts, or damaged ones.
  init(_ path: String) throws {
    self.path = path
    let names: [String]
    do {
      names = try FileManager.default.contentsOfDirectory(atPath: path).sorted()
    } catch {
      throw CommandFailure(.unreadable, "\(path): cannot be listed")
    }
    files = names.filter { !$0.hasPrefix(".") }
    let archives = files.filter { $0.hasSuffix(".keras") }
    guard !archives.isEmpty else {
      throw CommandFailure(
        .badData,
        "\(path): found no .keras file, expected a directory that training wrote; for a directory "
          + "of recordings: semg-train split --data \(path)")
    }
    models = try archives.map { try ArchiveInspection("\(path)/\($0)") }
    let file = "\(path)/metrics.json"
    guard files.contains("metrics.json") else {
      metrics = nil
      return
    }
    do {
      metrics = try JSONDecoder().decode(
        RunReport.self, from: try Data(contentsOf: URL(filePath: file)))
    } catch {
      throw CommandFailure(
        .badData, "\(file): found something else than the figures of a training run")
    }
  }

  var text: String {
    var lines = ["\(path): a training run: " + files.joined(separator: ", ")]
    for model in models {
      lines.append(
        "\(model.model): \(model.parameters) parameters, \(model.classes) gestures"
          + (model.padding.map { ", padding \($0)" } ?? ""))
    }
    guard let metrics else {
      return (lines + ["no metrics.json: the run was stopped"]).joined(separator: "\n")
    }
    lines.append(
      "recipe \(metrics.recipe.rawValue), seed \(metrics.seed), \(metrics.epochs) epochs, "
        + "\(Figure.time(metrics.seconds)) on \(metrics.device)")
    for (model, epoch) in metrics.bestEpoch.sorted(by: { $0.key < $1.key }) {
      lines.append("\(model): best epoch \(epoch)")
    }
    return (lines + ["", ReportText(metrics.test).text]).joined(separator: "\n")
  }
}
