import Artifacts
import CHDF5
import COneDNN
import CZip

/// What `--version` prints.
enum Version {
  static let program = ProgramVersion.number

  /// The program and the libraries that it runs with, a line each.
  static var text: String {
    """
    semg-train \(program)
    oneDNN \(oneDNN)
    HDF5 \(hdf5), \(confinement)
    libzip \(String(cString: zip_libzip_version()))
    """
  }

  static var oneDNN: String {
    let version = dnnl_version().pointee
    return "\(version.major).\(version.minor).\(version.patch)"
  }

  /// What the process that reads HDF5 files can reach.
  static var confinement: String { confinement(fault: HDF5Child.confinementFault) }

  static func confinement(fault: String?) -> String {
    guard let fault else {
      return "in a process without access to files, network and other processes"
    }
    return "in a process that this kernel does not keep from files and network (seccomp: \(fault))"
  }

  private static var hdf5: String {
    var (major, minor, release): (UInt32, UInt32, UInt32) = (0, 0, 0)
    guard H5get_libversion(&major, &minor, &release) >= 0 else { return "of an unknown version" }
    return "\(major).\(minor).\(release)"
  }
}
