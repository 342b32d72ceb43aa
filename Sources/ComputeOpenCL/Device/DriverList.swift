import Foundation

/// The loader's list of drivers, for people who miss a device: files `*.icd`, each with the name of
/// a library.
public struct OpenCLDriverList: Sendable {
  /// Where the loader looks: a directory, or one driver that `OCL_ICD_VENDORS` names.
  public let place: String
  /// A driver that the loader was told of.
  public struct Entry: Sendable, Equatable {
    /// The file that names it, or the library itself.
    public let source: String
    /// The name exactly as the loader tries it, spaces included.
    public let library: String
    /// Why it does not load, or nil.
    public let fault: String?
  }
  public let entries: [Entry]

  /// NVIDIA's driver, which containers carry without the file that names it to the loader.
  public static let nvidiaLibrary = "libnvidia-opencl.so.1"

  /// Whether the loader may have a driver to load, found out without loading any.
  public static var listsAny: Bool {
    let environment = ProcessInfo.processInfo.environment
    return !sources(at: place(environment)).isEmpty || environment["OCL_ICD_FILENAMES"] != nil
  }

  private static let usualPlace = "/etc/OpenCL/vendors"

  private static func place(_ environment: [String: String]) -> String {
    let given = ["OCL_ICD_VENDORS", "OPENCL_VENDOR_PATH"].lazy
      .compactMap { environment[$0] }.first { !$0.isEmpty }
    return given ?? usualPlace
  }

  /// Reads the list and tries each driver.
  ///
  /// - Parameter probe: why a library of that name does not load; nil where it does. A driver that is
  ///   loaded a second time, under another name, may end the process: whoever has loaded some already
  ///   has to ask another process.
  public init(
    environment: [String: String] = ProcessInfo.processInfo.environment,
    probe: (_ library: String) -> String? = OpenCLDriverList.fault
  ) {
    place = Self.place(environment)
    entries = Self.sources(at: place).map { source in
      let library = Self.library(namedBy: source)
      return Entry(source: source, library: library, fault: Self.fault(of: library, probe))
    }
  }

  private static func sources(at place: String) -> [String] {
    if let names = try? FileManager.default.contentsOfDirectory(atPath: place) {
      return names.filter { $0.hasSuffix(".icd") }.sorted().map { "\(place)/\($0)" }
    }
    // The loader looks for a file's bare name in its usual place, and takes what is not a file for a
    // library.
    let isBare = !place.contains("/" as Character)
    for file in [place] + (isBare ? ["\(usualPlace)/\(place)"] : [])
    where FileManager.default.fileExists(atPath: file) {
      return [file]
    }
    return isBare && place.firstRange(of: ".so") != nil ? [place] : []
  }

  /// All of the first line: the loader takes no more away than its end.
  private static func library(namedBy source: String) -> String {
    guard source.hasSuffix(".icd") else { return source }
    let bytes = FileManager.default.contents(atPath: source) ?? Data()
    return String(decoding: bytes.prefix { $0 != UInt8(ascii: "\n") }, as: UTF8.self)
  }

  private static func fault(of library: String, _ probe: (String) -> String?) -> String? {
    let name = String(
      library.drop(while: \.isWhitespace).reversed().drop(while: \.isWhitespace).reversed())
    guard !name.isEmpty else { return "the file names no library" }
    guard let fault = probe(library) else { return nil }
    guard name != library else { return fault }
    let stray = library.contains("\r" as Character) ? "a carriage return (CRLF)" : "a stray space"
    return "the file has \(stray) beside the name, which the loader takes for a part of it; write "
      + "\(name) and a line feed, nothing else"
  }

  /// Why a library does not load into this process; nil where it does.
  public static func fault(of library: String) -> String? {
    guard let handle = dlopen(library, RTLD_LAZY | RTLD_LOCAL) else {
      return dlerror().map { String(cString: $0) } ?? "it does not load"
    }
    dlclose(handle)
    return nil
  }
}
