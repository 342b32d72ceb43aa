import Foundation

/// What `semg-train tune` found on a device, on disk: for this device, driver and platform and these
/// kernels. A file that is damaged or of something else is as good as none.
struct TuningFile<Findings: Codable> {
  let url: URL
  /// What the findings are good for, as the file says it again.
  private let subject: [String: String]

  private struct Content: Codable {
    var format = 2
    let subject: [String: String]
    let findings: Findings
  }

  /// - Parameter kernels: files that the findings are of, with all that they include.
  init(directory: URL, description: OpenCLDeviceDescription, kernels: [String]) {
    subject = [
      "device": description.name, "driver": description.driver,
      "platform": description.platformName,
      "kernels": ProgramCache.name(
        of: kernels.compactMap(KernelSource.text).joined(separator: "\n")),
    ]
    let names = [description.platformName, description.name, description.driver]
    url = directory.appendingPathComponent(
      "\(ProgramCache.name(of: names.joined(separator: "\n"))).json")
  }

  /// In a folder beside that in which programs are kept; nil where nothing is.
  static func standard(
    folder: String, description: OpenCLDeviceDescription, kernels: [String]
  ) -> TuningFile? {
    ProgramCache.base.map {
      TuningFile(
        directory: $0.appendingPathComponent(folder), description: description, kernels: kernels)
    }
  }

  /// Nil where there is no such file.
  var findings: Findings? {
    guard let data = try? Data(contentsOf: url),
      let content = try? JSONDecoder().decode(Content.self, from: data),
      content.format == 2, content.subject == subject
    else { return nil }
    return content.findings
  }

  /// Whoever reads at the same time sees the old file or the new one.
  ///
  /// - Throws: where the file cannot be written.
  func write(_ findings: Findings) throws {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.prettyPrinted, .sortedKeys]
    try FileManager.default.createDirectory(
      at: url.deletingLastPathComponent(), withIntermediateDirectories: true)
    try encoder.encode(Content(subject: subject, findings: findings)).write(
      to: url, options: .atomic)
  }
}
