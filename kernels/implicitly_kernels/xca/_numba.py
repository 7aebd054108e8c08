from implicitly_kernels.xca.reference import backward as backward
from implicitly_kernels.xca.reference import run as run
